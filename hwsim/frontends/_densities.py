"""How many non-zeros real inputs leave in the tensors of a traced network, and where."""

from collections.abc import Iterable
from dataclasses import replace
from math import prod

import torch
from torch import Tensor
from torch.export.graph_signature import InputKind, InputSpec
from torch.fx import Interpreter, Node

from hwsim.frontends._aten import weight_of
from hwsim.frontends._call import Step, operator, shape
from hwsim.frontends._trace import Trace
from hwsim.workload import Layer, Op, Zeros
from hwsim.workload import Tensor as Record

# Operators whose tensors hold their elements in the order of the layer's.
IN_ORDER = frozenset(
    f"{kind}{axes}d"
    for kind in ("conv", "max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool")
    for axes in (1, 2)
) | {"linear"}


class Counter(Interpreter):
    """Runs a traced graph and counts the elements and non-zeros of what its layers touch.

    With `keep`, it also keeps a bit for each element, of the last chunk of images.
    """

    def __init__(self, found: Trace, *, keep: bool = False) -> None:
        super().__init__(found.program.graph_module)
        self.found, self.keep = found, keep
        self.zeros: dict[Node, Zeros] = {}
        self.activations = {s.ofmap for s in found.steps if s.layer.op is Op.ACTIVATION}
        touched = [self.touched(step) for step in found.steps]
        if keep:
            touched += [self.in_order(step) for step in found.steps]
        self.wanted = {node for tensors in touched for nodes in tensors.values() for node in nodes}
        self.nonzeros = dict.fromkeys(self.wanted, 0)
        self.elements = dict.fromkeys(self.wanted, 0)

    def count(self, chunks: Iterable[Tensor]) -> None:
        """One forward pass per chunk of images."""
        specs = self.found.program.graph_signature.input_specs
        with torch.inference_mode():
            for images in chunks:
                self.run(*(self.placeholder_value(spec, images) for spec in specs))

    def placeholder_value(self, spec: InputSpec, images: Tensor) -> object:
        """What an input of the graph stands for: the images, a parameter or a buffer."""
        program, target = self.found.program, str(spec.target)
        if spec.kind is InputKind.USER_INPUT:
            return images
        return (program.state_dict if target in program.state_dict else program.constants)[target]

    def run_node(self, n: Node) -> object:
        """Runs a node and counts at once: a later operator may overwrite its value in place."""
        value: object = super().run_node(n)
        counted = n in self.found.constants and self.elements.get(n)
        if n in self.wanted and not counted:
            tensor = value[0] if isinstance(value, tuple | list) else value
            assert isinstance(tensor, Tensor)
            self.nonzeros[n] += int(torch.count_nonzero(tensor))
            self.elements[n] += tensor.numel()
            if self.keep:
                self.zeros[n] = Zeros.of((tensor != 0).cpu().numpy())
        return value

    def touched(self, step: Step) -> dict[str, tuple[Node, ...]]:
        """The nodes that make up each tensor of a step; values inside an operator have none."""
        return {
            "ifmap": step.ifmaps,
            "weight": (step.weight,) if step.weight else (),
            "ofmap": (self.stored(step, step.ofmap),) if step.ofmap else (),
        }

    def stored(self, step: Step, ofmap: Node) -> Node:
        """The node whose value a machine stores: after all that is fused into the step."""
        return self.fused(step, ofmap)[-1]

    def fused(self, step: Step, ofmap: Node) -> list[Node]:
        """The ofmap, and what is fused into the step one after the other."""
        found = [ofmap]
        while step.layer.weighted and len(found[-1].users) == 1:
            reader = next(iter(found[-1].users))
            fused = reader in self.found.views or reader in self.activations
            if not fused or prod(shape(reader)) != prod(shape(ofmap)):
                break
            found.append(reader)
        return found

    def in_order(self, step: Step) -> dict[str, tuple[Node, ...]]:
        """The nodes that hold what `touched` do, for tensors known to be in the layer's order."""
        ofmap = step.ofmap
        if ofmap is None or operator(ofmap) not in IN_ORDER or weight_of(ofmap) is not step.weight:
            return {}
        fused = self.fused(step, ofmap)
        changed = [at for at, node in enumerate(fused) if at == 0 or self.changes(node)]
        last = changed[-1]  # views after it change no value; one before it may change the order
        nodes = (fused[last],) if len(changed) == last + 1 else ()
        return self.touched(step) | {"ofmap": nodes}

    def changes(self, node: Node) -> bool:
        """Whether what is fused into a layer changes values, each in its place."""
        return node in self.activations or operator(node) == "batch_norm"

    def kept(self, step: Step, layer: Layer, tensor: str) -> Zeros | None:
        """The zeros of a layer's tensor, where they were kept and lie as the layer's."""
        nodes = self.in_order(step).get(tensor, ())
        if len(nodes) != 1 or nodes[0] not in self.zeros:
            return None
        zeros, shape = self.zeros[nodes[0]], layer.shape(tensor)
        return Zeros(shape, zeros.packed) if prod(zeros.shape) == prod(shape) else None

    def measured(self, step: Step, layer: Layer) -> Layer:
        """`layer` with the densities counted for `step`, and the zeros that were kept."""
        touched = self.touched(step)

        def record(tensor: str) -> Record:
            old, nodes = layer.tensor(tensor), touched[tensor]
            zeros = self.kept(step, layer, tensor)
            if zeros:
                return replace(old, density=zeros.density, zeros=zeros)
            elements = sum(self.elements[node] for node in nodes)
            nonzeros = sum(self.nonzeros[node] for node in nodes)
            return replace(old, density=nonzeros / elements, zeros=None) if elements else old

        return replace(layer, ifmap=record("ifmap"), weight=record("weight"), ofmap=record("ofmap"))
