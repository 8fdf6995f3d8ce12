"""What accelforge counts of a mapping of ours, from hwsim's own counts.

Both count the same but for two things (its 1.0.467, on nests without ragged tiles):

- one read serves several PEs only along loops that leave a tensor's tile as it is. Neighbours
  whose windows overlap, or meet on a diagonal, read each for itself;
- a psum that comes back is written to every PE along the axes that reduce it, not to one.

Padding is data.
"""

from math import prod

from hwsim.hardware import Accelerator
from hwsim.mapping import Mapping
from hwsim.reuse import MAC
from hwsim.technology import memory_pj_per_bit
from hwsim.traffic import Transfer, transfers
from hwsim.workload import RELEVANT, Layer

Action = tuple[str, str, str]


def actions(layer: Layer, mapping: Mapping, machine: Accelerator) -> dict[Action, int]:
    """Words by (level, tensor, "read" or "write")."""
    found: dict[Action, int] = {}
    for move in transfers(layer, mapping, machine.model_copy(update={"stores_padding": True})):
        spread = _spread(layer, mapping, move)
        link, reads, delivered = move.link, move.link.reads, move.link.delivered
        if move.tensor == "ofmap":
            delivered = reads * spread
        elif link.child != MAC:
            reads = delivered // spread
        for level, way, words in (
            (link.parent, "read", reads),
            (link.parent, "write", link.writes),
            (link.child, "read", link.collected),
            (link.child, "write", delivered),
        ):
            if level != MAC:
                key = level, move.tensor, way
                found[key] = found.get(key, 0) + words
    return found


def _spread(layer: Layer, mapping: Mapping, move: Transfer) -> int:
    """PEs that share a tensor's word: those along loops that it does not have."""
    loops = list(zip(mapping.loops, mapping.trips(layer), strict=True))
    above = dict(mapping.stores(move.tensor))[move.link.parent]
    return prod(
        trips
        for loop, trips in loops[above : move.above_child]
        if loop.axis and loop.dim not in RELEVANT[move.tensor]
    )


def energy_pj(layer: Layer, mapping: Mapping, machine: Accelerator) -> float:
    """Memories and MACs; all tensors are of the ifmap's width."""
    assert machine.mac.multiply_add_pj is not None
    total = machine.mac.multiply_add_pj * layer.macs
    for (level, tensor, way), words in actions(layer, mapping, machine).items():
        memory = machine.level(level).memory(tensor)
        assert memory is not None
        read_pj, write_pj = memory_pj_per_bit(memory, machine.technology)
        total += words * layer.ifmap.bits * (read_pj if way == "read" else write_pj)
    return total
