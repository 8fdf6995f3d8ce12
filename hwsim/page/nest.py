"""A layer's mapping as the lines of a loop nest."""

from dataclasses import dataclass

from hwsim.errors import MappingError
from hwsim.explain import loop_line
from hwsim.mapping import Loop, Mapping, Store
from hwsim.side import LayerRow
from hwsim.workload import DIMS


@dataclass(frozen=True)
class Line:
    """A line at its depth; `kind` is `store`, `time` or `space`."""

    depth: int
    kind: str
    text: str

    @property
    def indented(self) -> str:
        """The text with two blanks for each loop around it."""
        return "  " * self.depth + self.text


def lines(row: LayerRow) -> tuple[Line, ...]:
    """The nest, outermost first; none for a layer that rides on another's output.

    Raises MappingError naming the layer, and a record or a loop that makes no sense.
    """
    extents = dict.fromkeys(DIMS, 1) | row.bounds
    found, depth = [], 0
    for node in _mapping(row):
        if isinstance(node, Store):
            found.append(Line(depth, "store", f"{node.level} keeps {', '.join(node.tensors)}"))
            continue
        if not 1 <= node.tile <= extents.get(node.dim, 0):
            raise MappingError(f"layer {row.name!r}: {node}: no such dimension, or no such tile")
        found.append(Line(depth, _kind(node), loop_line(node, extents[node.dim])))
        extents[node.dim] = node.tile
        depth += 1
    return tuple(found)


def _mapping(row: LayerRow) -> Mapping:
    try:
        return Mapping.from_yaml(list(row.mapping))
    except MappingError as error:
        raise MappingError(f"layer {row.name!r}: {error}") from error


def _kind(loop: Loop) -> str:
    return "space" if loop.axis else "time"
