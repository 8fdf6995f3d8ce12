"""One node of an ONNX graph, and the layers that stand for it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from onnx import NodeProto

from hwsim.errors import UnsupportedOperatorError
from hwsim.frontends._onnx_values import Array, Graph, Value, attributes
from hwsim.frontends._shapes import Shape
from hwsim.workload import Layer


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """A layer and the values that it reads and makes, by name.

    `weight` names its second operand and `weights` holds it, where it is known, in the layer's
    shape [G K, C, R, S]. `after` names layers of the same operator that it reads. `last`: what the
    layer yields is the operator's result.
    """

    layer: Layer
    reads: tuple[str, ...] = ()
    weight: str = ""
    weights: Array | None = None
    after: tuple[str, ...] = ()
    last: bool = True


@dataclass(frozen=True)
class Call:
    """A node, and the name its layer is to bear."""

    graph: Graph
    node: NodeProto
    name: str

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """The attributes that the node gives, by name."""
        return attributes(self.node)

    @cached_property
    def varying(self) -> tuple[str, ...]:
        """The values it reads that depend on the network's inputs, each once."""
        return self.graph.varying(self.node)

    @property
    def made(self) -> Shape:
        """The shape of its first result."""
        return self.graph.values[self.node.output[0]].shape

    def operand(self, place: int) -> Value | None:
        """An operand by its place; None where it is left out."""
        names = self.node.input
        return self.graph.values[names[place]] if place < len(names) and names[place] else None

    def shape(self, place: int) -> Shape:
        """The shape of an operand that must be there. Raises UnsupportedOperatorError."""
        found = self.operand(place)
        if found is None:
            raise self.refusal(f"operand {place} is missing")
        return found.shape

    def numbers(self, name: str, place: int) -> list[int] | None:
        """Whole numbers that older versions have as an attribute, newer ones as an operand."""
        if name in self.attributes:
            given = self.attributes[name]
            return [given] if isinstance(given, int) else list(given)
        operand = self.operand(place)
        if operand is None:
            return None
        if operand.array is None:
            raise self.refusal(f"its {name} depend on the data")
        return [int(number) for number in operand.array.ravel()]

    def refusal(self, reason: str) -> UnsupportedOperatorError:
        """The error that says which operator stands where, and why it cannot be simulated."""
        return self.graph.refusal(self.node, reason)


Lowering = Callable[[Call], list[Step]]
