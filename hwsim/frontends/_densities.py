"""How many non-zeros real inputs leave in the tensors of a traced network."""

from collections.abc import Iterable
from dataclasses import replace
from math import prod

import torch
from torch import Tensor
from torch.export.graph_signature import InputKind, InputSpec
from torch.fx import Interpreter, Node

from hwsim.frontends._call import Step, shape
from hwsim.frontends._trace import Trace
from hwsim.workload import Layer, Op
from hwsim.workload import Tensor as Record


class Counter(Interpreter):
    """Runs a traced graph and counts the elements and non-zeros of what its layers touch."""

    def __init__(self, found: Trace) -> None:
        super().__init__(found.program.graph_module)
        self.found = found
        self.activations = {s.ofmap for s in found.steps if s.layer.op is Op.ACTIVATION}
        touched = (self.touched(step) for step in found.steps)
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
        while step.layer.weighted and len(ofmap.users) == 1:
            reader = next(iter(ofmap.users))
            fused = reader in self.found.views or reader in self.activations
            if not fused or prod(shape(reader)) != prod(shape(ofmap)):
                break
            ofmap = reader
        return ofmap

    def measured(self, step: Step, layer: Layer) -> Layer:
        """`layer` with the densities counted for `step`."""
        touched = self.touched(step)

        def record(tensor: str) -> Record:
            old, nodes = layer.tensor(tensor), touched[tensor]
            elements = sum(self.elements[node] for node in nodes)
            nonzeros = sum(self.nonzeros[node] for node in nodes)
            return replace(old, density=nonzeros / elements) if elements else old

        return replace(layer, ifmap=record("ifmap"), weight=record("weight"), ofmap=record("ofmap"))
