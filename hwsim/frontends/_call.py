"""One operator call of an exported PyTorch graph, and the layers that stand for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch._ops import OpOverload
from torch.fx import Node

from hwsim.errors import UnsupportedOperatorError
from hwsim.workload import Layer

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """A layer, the nodes it reads, and the node it yields (None: a value inside the operator).

    `after` names the layers of the same operator that it reads.
    """

    layer: Layer
    ifmaps: tuple[Node, ...]
    weight: Node | None = None
    ofmap: Node | None = None
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Call:
    """One call of an operator, and the name its layer is to bear.

    `constants` are the nodes of the graph that depend on no input of the network.
    """

    node: Node
    name: str
    where: str
    constants: frozenset[Node]

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """Every argument by the name it has in the operator's schema, defaults included."""
        return arguments(self.node)

    @cached_property
    def varying(self) -> tuple[Node, ...]:
        """The nodes it reads that depend on the network's inputs, each once."""
        return tuple(node for node in self.node.all_input_nodes if node not in self.constants)

    def shape(self, key: str) -> Shape:
        """The shape of a tensor argument."""
        return shape(self.arguments[key])

    def refusal(self, reason: str) -> UnsupportedOperatorError:
        """The error that says which operator stands where, and why it cannot be simulated."""
        return UnsupportedOperatorError(f"{self.where}: operator {self.node.target}: {reason}")


Lowering = Callable[[Call], list[Step]]


def operator(node: Node) -> str:
    """The ATen operator's bare name, such as `conv2d` or `relu`; empty for anything else."""
    if not isinstance(node.target, OpOverload) or node.target.namespace != "aten":
        return ""
    name: str = node.target._schema.name
    return name.removeprefix("aten::").rstrip("_")


def arguments(node: Node) -> dict[str, Any]:
    """The arguments of an ATen call by schema name."""
    assert isinstance(node.target, OpOverload)
    named = {formal.name: formal.default_value for formal in node.target._schema.arguments}
    named.update(zip(named, node.args, strict=False))
    return named | node.kwargs


def shape(node: Node) -> Shape:
    """The shape of a node's value; of its first tensor where it yields several, () of none."""
    value = node.meta.get("val")
    first = value[0] if isinstance(value, Sequence) else value
    return tuple(int(size) for size in getattr(first, "shape", ()))


def is_static(node: Node) -> bool:
    """Whether the shapes of all the tensors it yields are known before any data is."""
    value = node.meta.get("val")
    values = value if isinstance(value, Sequence) else [value]
    sizes = [size for tensor in values for size in getattr(tensor, "shape", ())]
    return all(isinstance(size, int) for size in sizes)
