"""Cycles of a mapped layer: arithmetic, ports and buses, and what cannot overlap.

Filling and draining a `single` buffer stops the PEs. Each time one was filled the pipeline starts
anew: the first tiles must reach the PEs before they work, a skewed array starts one PE after the
other, and the last tile must leave afterwards. All else runs side by side, what feeds the buffers
beside all that the PEs do:

    cycles = stalls + span(buffers, PEs)
    PEs    = stalls + restarts x skew + span(pads and MACs, arithmetic)
    span   = max(first tiles in + work + last tiles out,
                 for each port and bus: the traffic that passes it)

At a port that others outlast while first or last tiles move, ifmap and weight count for as long as
all first tiles take at least, and an ofmap for as long as its last tiles take. So no port and no
bus is ever given less time than its bits need, and no time falls when words, tiles, starts or
arithmetic grow. `hwsim.engine` plays the same rules event by event, and never needs less.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from hwsim.hardware import Accelerator, Mac
from hwsim.mapping import Mapping
from hwsim.ports import Cycles, added, demand
from hwsim.reuse import executions, refilling
from hwsim.skipping import compute_cycles
from hwsim.traffic import Transfer
from hwsim.workload import Layer

COMPUTE = "compute"

Arithmetic = Callable[[Layer, Mapping, Mac], int]


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Cycles in all, without waiting for the buffers above the PEs, and of arithmetic alone.

    `processing_cycles` leaves out the time in which `single` buffers above the PEs are filled and
    drained, as the processing latency of JSSC 2017 (Tables V and VI) leaves out DRAM's. `bound`
    names what is busy longest.
    """

    cycles: int
    processing_cycles: int
    compute_cycles: int
    bound: str


def latency(
    layer: Layer,
    mapping: Mapping,
    machine: Accelerator,
    moves: Sequence[Transfer],
    *,
    arithmetic: Arithmetic = compute_cycles,
) -> Latency:
    """Cycles of a layer whose transfers are known; `arithmetic` counts those of the MACs."""
    compute = arithmetic(layer, mapping, machine.mac)
    starts = restarts(layer, mapping, moves)
    loads = [Load.of(move, starts) for move in moves]
    skew = starts * sum(array.skew_cycles for array in machine.arrays)
    total, processing = elapsed(loads, skew=skew, compute=compute)
    busy = {COMPUTE: float(compute)}
    for port, cycles in added(load.whole for load in loads).items():
        busy[port.place] = max(cycles, busy.get(port.place, 0.0))
    return Latency(
        cycles=_whole(total),
        processing_cycles=_whole(processing),
        compute_cycles=compute,
        bound=max(busy, key=lambda name: busy[name]),
    )


def elapsed(loads: Sequence["Load"], *, skew: float, compute: float) -> tuple[float, float]:
    """Cycles in all, and without the filling and draining of `single` buffers above the PEs."""
    pads = [load for load in loads if load.move.into_pe and stalls(load.move)]
    inner = [load for load in loads if load.move.into_pe and not stalls(load.move)]
    buffers = [load for load in loads if not load.move.into_pe and stalls(load.move)]
    outer = [load for load in loads if not load.move.into_pe and not stalls(load.move)]
    pes = sum(load.stall for load in pads) + skew + _span(compute, inner)
    processing = _span(pes, outer, inner + pads)
    return processing + sum(load.stall for load in buffers), processing


def _whole(cycles: float) -> int:
    """Cycles begun, but for what the last bits of a sum may have added."""
    return ceil(round(cycles, 3))


def stalls(move: Transfer) -> bool:
    """Whether the PEs wait while this transfer fills or drains its `single` buffer."""
    return move.child is not None and move.child.buffering == "single"


def restarts(layer: Layer, mapping: Mapping, moves: Iterable[Transfer]) -> int:
    """How often the pipeline starts: once for each time that some `single` buffer is filled."""
    return executions(layer, mapping, fills(layer, mapping, moves))


def fills(layer: Layer, mapping: Mapping, moves: Iterable[Transfer]) -> int:
    """How many loops there are down to the innermost one that fills a `single` buffer."""
    filled = (
        refilling(layer, mapping, move.tensor, move.above_child) for move in moves if stalls(move)
    )
    return max(filled, default=0)


@dataclass(frozen=True)
class Load:
    """Cycles of each port for a transfer: the part that the rest waits for, and all of it. `stall`:
    for all of it inwards and then outwards, with nothing beside."""

    move: Transfer
    waited: Cycles
    whole: Cycles
    stall: float

    @staticmethod
    def of(move: Transfer, starts: int) -> "Load":
        """What tiles take above the PEs is waited for at the first start alone."""
        whole, tiles = demand(move), demand(move.waited(starts if move.into_pe else 1))
        stall = _longest(whole.inward) + _longest(whole.outward)
        return Load(
            move, added((tiles.inward, tiles.outward)), added((whole.inward, whole.outward)), stall
        )


def _span(work: float, ramps: Sequence[Load], beside: Sequence[Load] = ()) -> float:
    """Cycles from the first tiles of `ramps` in, over the work, to the last ones out.

    What is not waited for, and `beside`, passes the ports during the work. First tiles come side by
    side; last ones leave one after the other, while nothing else moves.
    """
    lead = _longest(added(load.waited for load in ramps if not load.move.leaves))
    tails = [(_longest(load.waited), load.whole) for load in ramps if load.move.leaves]
    inward = added(load.whole for load in ramps if not load.move.leaves)
    others = added(load.whole for load in beside)
    times = [lead + work + sum(tail for tail, _ in tails)]
    for port in added(load.whole for load in (*ramps, *beside)):
        outward = sum(max(tail, whole.get(port, 0.0)) for tail, whole in tails)
        times.append(max(lead, inward.get(port, 0.0)) + others.get(port, 0.0) + outward)
    return max(times)


def own_cycles(move: Transfer) -> float:
    """Cycles of a transfer with nothing beside it: those of its slowest port or bus."""
    found = demand(move)
    return _longest(added((found.inward, found.outward)))


def _longest(load: Cycles) -> float:
    """Cycles of the slowest port."""
    return max(load.values(), default=0.0)
