"""What a layer costs on a machine at the least, whatever its mapping.

Every word in use leaves its home, and enters every memory that it may not bypass, at least once;
every finished ofmap word goes the other way. Where the innermost memory lies beside the MAC and may
not be bypassed, every operation reads and writes it. Those transfers, and the operations shared out
evenly to all PEs, are costed by the rules for any others.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil, prod

import numpy as np

from hwsim.cost import arithmetic_pj, transfer_pj
from hwsim.hardware import Accelerator, Array, MemoryLevel
from hwsim.latency import latency
from hwsim.mapping import Mapping, Store
from hwsim.objective import Objective, value
from hwsim.reuse import Link
from hwsim.skipping import mac_cycles
from hwsim.traffic import Transfer, transfers
from hwsim.workload import Layer


@dataclass(frozen=True)
class Least:
    """No mapping of the layer takes less energy, and none fewer cycles."""

    energy_pj: float
    cycles: int

    def value(self, objective: Objective) -> float:
        """What no mapping goes below under an objective."""
        return value(objective, self.energy_pj, self.cycles)


def least(layer: Layer, machine: Accelerator) -> Least:
    """The least that a layer may cost, capacities left out of account; psums as wide as they are.

    Raises InputError where an operand is wider than the MACs.
    """
    mapping = Mapping(tuple(_stores(layer, machine)))
    moves = tuple(_bare(layer, machine, move) for move in transfers(layer, mapping, machine))
    skips = layer.weighted and machine.mac.zero_skipping
    steps = (
        1 if skips else ceil(-(-layer.operations // machine.pes) * mac_cycles(layer, machine.mac))
    )
    time = latency(layer, mapping, machine, moves, arithmetic=lambda *_: steps)
    energy = transfer_pj(layer, machine, moves, time.cycles)
    return Least(sum(energy.values()) + arithmetic_pj(layer, machine), time.cycles)


def _stores(layer: Layer, machine: Accelerator) -> Iterator[Store]:
    """Each tensor whole at home and in all that it may not bypass."""
    for level in machine.levels:
        kept = []
        for tensor in layer.tensors:
            memory, home = level.memory(tensor), machine.depth(machine.home(tensor))
            inside = machine.depth(level.level) - home
            if inside == 0 or (inside > 0 and memory and not memory.bypass):
                kept.append(tensor)
        if kept:
            yield Store(level.level, tuple(kept))


def _bare(layer: Layer, machine: Accelerator, move: Transfer) -> Transfer:
    """A transfer of each word once, as if shared out to all instances and all of it overlapped."""
    parents = _instances(machine, move.link.parent)
    spread = replace(move, tile_words=0, first_words=0, parent_instances=parents)
    if move.child is None:
        return _of_operations(layer, machine, spread)
    if _avoidable(machine, move):
        memory = move.child.model_copy(update={"buffering": "stream"})
        spread = replace(spread, child=memory)
    return replace(spread, child_instances=_instances(machine, move.link.child))


def _of_operations(layer: Layer, machine: Accelerator, move: Transfer) -> Transfer:
    """The MACs' own accesses: one an operation where their memory can be no other, and no array
    lies between. However many MACs they go to, no more words than the memory's cross the NoC."""
    link, innermost = move.link, machine.hierarchy[-1]
    own = isinstance(innermost, MemoryLevel) and innermost.level == link.parent
    if own and link.parent != machine.home(move.tensor):
        if move.leaves:
            return replace(move, link=_counted(link, reads=0, writes=layer.operations), finished=0)
        operands = _operands(layer, move.tensor, padding=machine.stores_padding)
        link = _counted(link, reads=operands, writes=0)
    return replace(move, link=_counted(link, reads=link.reads, writes=link.writes))


def _counted(link: Link, *, reads: int, writes: int) -> Link:
    """A link of so many words, none of which pays for the NoC."""
    return replace(link, reads=reads, writes=writes, delivered=0, collected=writes)


def _operands(layer: Layer, tensor: str, *, padding: bool) -> int:
    """Operations that read a word of a tensor from memory, not a zero that padding made up."""
    if tensor != "ifmap" or padding:
        return layer.operations * (layer.operands if tensor == "ifmap" else 1)
    rows = _inside(layer.P, layer.R, layer.stride_h, layer.dilation_h, layer.pad_h, layer.H)
    columns = _inside(layer.Q, layer.S, layer.stride_w, layer.dilation_w, layer.pad_w, layer.W)
    return layer.operands * layer.N * layer.G * layer.K * layer.C * rows * columns


def _inside(bound: int, window: int, stride: int, dilation: int, pad: int, length: int) -> int:
    """How many pairs of an ofmap and a filter index meet within the ifmap."""
    at = np.arange(bound)[:, None] * stride + np.arange(window) * dilation - pad
    return int(np.count_nonzero((at >= 0) & (at < length)))


def _avoidable(machine: Accelerator, move: Transfer) -> bool:
    """Whether the words may as well come by a level between, so that nothing waits for them."""
    outer, inner = machine.depth(move.link.parent), machine.depth(move.link.child)
    between = machine.hierarchy[outer + 1 : inner]
    return any(isinstance(part, MemoryLevel) and part.memory(move.tensor) for part in between)


def _instances(machine: Accelerator, level: str) -> int:
    """How many there are of a level."""
    above = machine.hierarchy[: machine.depth(level)]
    return prod(part.instances for part in above if isinstance(part, Array))
