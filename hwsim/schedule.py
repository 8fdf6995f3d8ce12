"""What the engine plays: the jobs of every kind of pass, in ticks, on numbered ports.

A job is a share of one transfer; it loads each port and bus that the transfer crosses. By where it
goes and what it fills, a transfer's jobs come at different moments of a pass:

- into a `single` buffer above the PEs (fills, drains): the PEs and all else above them stand;
- into another buffer above the PEs (feeds, sends): beside the passes, a tile ahead or behind;
- into a `single` pad (pad fills, pad drains): the PEs stand;
- into other pads and the MACs: the first tiles in and the last tile out are waited for (ramps, of
  the size that `hwsim.latency` gives them), the rest flows beside the arithmetic.

Shares that must be waited for are nominal: where a ragged pass has less to move, the schedule that
the hardware is configured with waits as long.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

import numpy as np

from hwsim.hardware import Accelerator
from hwsim.latency import stalls
from hwsim.mapping import Mapping
from hwsim.passes import Array1D, Array2D, Passes, distinct_rows, passes
from hwsim.ports import Cycles, Port, demand, port_names
from hwsim.reuse import compute_steps
from hwsim.skipping import compute_cycles
from hwsim.traffic import Transfer, transfers
from hwsim.workload import Layer

Exact = dict[Port, Fraction]

TICKS = 2**40
IN, OUT = "in", "out"
MOST_BURSTS = 32


@dataclass(frozen=True)
class Job:
    """Ticks of each port that something takes; what is longer than a pass comes in `bursts`."""

    label: str
    tensor: str
    loads: tuple[tuple[int, int], ...]
    bursts: int = 1

    @property
    def ticks(self) -> int:
        """How long the job takes where nothing else holds its ports."""
        return max((ticks for _, ticks in self.loads), default=0)

    def part(self, index: int) -> "Job":
        """One burst."""
        if self.bursts == 1:
            return self
        loads = tuple(
            (port, ticks * (index + 1) // self.bursts - ticks * index // self.bursts)
            for port, ticks in self.loads
        )
        return Job(self.label, self.tensor, loads)


@dataclass(frozen=True)
class Ramp:
    """Jobs that the rest waits for, and how long at least: as long as `nominal` ones take."""

    nominal: tuple[Job, ...]
    jobs: tuple[Job, ...]

    @property
    def ticks(self) -> int:
        """The time that the nominal jobs take, side by side."""
        totals: dict[int, int] = {}
        for job in self.nominal:
            for port, ticks in job.loads:
                totals[port] = totals.get(port, 0) + ticks
        return max(totals.values(), default=0)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a pass does. `feeds` and `sends` hold a job or None for each of the schedule's.

    `skew` ticks pass, where the pipeline starts anew, between the first PE's start and the last's.
    """

    compute: int
    skew: int
    fills: tuple[Job, ...]
    pad_fills: tuple[Job, ...]
    first: Ramp
    flows: tuple[Job, ...]
    last: tuple[Ramp, ...]
    pad_drains: tuple[Job, ...]
    drains: tuple[Job, ...]
    feeds: tuple[Job | None, ...]
    sends: tuple[Job | None, ...]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A layer's passes. `head`, one ramp a feed: first tiles; `tail`: the last tiles to leave."""

    layer: str
    order: Array1D
    kinds: tuple[Kind, ...]
    feeds: tuple[str, ...]
    sends: tuple[str, ...]
    head: tuple[Ramp, ...]
    tail: tuple[Ramp, ...]


def schedule(layer: Layer, mapping: Mapping, machine: Accelerator) -> Schedule:
    """The schedule of a mapped layer."""
    moves = transfers(layer, mapping, machine)
    cut = passes(layer, mapping, machine, moves)
    return _Planner(layer, machine, moves, cut, _pace(layer, mapping, machine)).schedule()


def _pace(layer: Layer, mapping: Mapping, machine: Accelerator) -> Fraction:
    """Cycles a step: less than one where zeros are skipped, spread evenly over the passes."""
    return Fraction(compute_cycles(layer, mapping, machine.mac), compute_steps(layer, mapping))


class _Planner:
    """Sorts shares of transfers into the moments of a pass; transfers go by their index."""

    def __init__(
        self,
        layer: Layer,
        machine: Accelerator,
        moves: tuple[Transfer, ...],
        found: Passes,
        pace: Fraction,
    ) -> None:
        self._layer, self._moves, self._passes = layer, moves, found
        self._ports = {port: number for number, port in enumerate(port_names(machine))}
        self._pace = pace
        self._skew = sum(array.skew_cycles for array in machine.arrays)
        self._demands = [demand(move) for move in moves]
        once, always = ([demand(m.waited(n)) for m in moves] for n in (1, found.starts))
        pairs = list(zip(once, always, strict=True))
        self._waits = {
            IN: [_waits(a.inward, b.inward, found.starts) for a, b in pairs],
            OUT: [_waits(a.outward, b.outward, found.starts) for a, b in pairs],
        }
        standing = [i for i, move in enumerate(moves) if stalls(move)]
        flowing = [i for i, move in enumerate(moves) if not stalls(move)]
        self._fills = [i for i in standing if not moves[i].into_pe]
        self._pad_fills = [i for i in standing if moves[i].into_pe]
        self._flows = [i for i in flowing if moves[i].into_pe]
        outer = [i for i in flowing if not moves[i].into_pe]
        self._feeds = [i for i in outer if any(found.inward[i])]
        self._sends = [i for i in outer if any(found.outward[i])]
        self._start, self._end = int(found.order[0]), int(found.order[-1])

    def schedule(self) -> Schedule:
        """The whole schedule."""
        table, order = self._in_bursts()
        return Schedule(
            layer=self._layer.name,
            order=order,
            kinds=tuple(self._kind(*row) for row in table.tolist()),
            feeds=tuple(_label(self._moves[i], IN) for i in self._feeds),
            sends=tuple(_label(self._moves[i], OUT) for i in self._sends),
            head=tuple(
                Ramp((), ()) if self._leaves(i) else self._ramp(i, self._start) for i in self._feeds
            ),
            tail=tuple(self._ramp(i, self._end) for i in self._sends),
        )

    def _in_bursts(self) -> tuple[Array2D, Array1D]:
        """Kinds told apart by bursts too: rows (kind, bursts of feeds and sends), and each pass's.

        A tile comes while the one before it is worked on, and leaves during the next one: in as
        many bursts as that takes passes, so that no pass waits for more than one burst.
        """
        order = self._passes.order
        columns = [order]
        for way, indices in ((IN, self._feeds), (OUT, self._sends)):
            for i in indices:
                moving = np.array([share > 0 for share in self._shares(way)[i]])
                at = np.flatnonzero(moving[order])
                bursts = np.ones_like(order)
                bursts[at[1:] if way == IN else at[:-1]] = np.minimum(np.diff(at), MOST_BURSTS)
                columns.append(bursts)
        return distinct_rows(columns)

    def _kind(self, kind: int, *bursts: int) -> Kind:
        feeds, sends = bursts[: len(self._feeds)], bursts[len(self._feeds) :]
        return Kind(
            compute=ceil(self._passes.steps[kind] * self._pace * TICKS),
            skew=self._skew * TICKS if kind == self._start or self._passes.starts > 1 else 0,
            fills=self._jobs(self._fills, kind, IN),
            pad_fills=self._jobs(self._pad_fills, kind, IN),
            first=joined(self._ramp(i, kind) for i in self._flows if not self._leaves(i)),
            flows=_present(self._rest(i, way, kind) for i in self._flows for way in (IN, OUT)),
            last=tuple(self._ramp(i, kind) for i in self._flows if self._leaves(i)),
            pad_drains=self._jobs(self._pad_fills, kind, OUT),
            drains=self._jobs(self._fills, kind, OUT),
            feeds=tuple(
                self._rest(i, IN, kind, n) for i, n in zip(self._feeds, feeds, strict=True)
            ),
            sends=tuple(
                self._rest(i, OUT, kind, n) for i, n in zip(self._sends, sends, strict=True)
            ),
        )

    def _leaves(self, i: int) -> bool:
        return self._moves[i].leaves

    def _shares(self, way: str) -> tuple[tuple[Fraction, ...], ...]:
        return self._passes.inward if way == IN else self._passes.outward

    def _cycles(self, i: int, way: str) -> Cycles:
        return self._demands[i].inward if way == IN else self._demands[i].outward

    def _wait(self, i: int, kind: int, way: str) -> Exact:
        """Cycles that a pass waits for a transfer's first tile in, or last tile out."""
        first, later = self._waits[way][i]
        if self._passes.starts > 1 and self._moves[i].into_pe:
            return first if kind == self._start else later
        return first if kind == (self._end if self._leaves(i) else self._start) else {}

    def _waited(self, i: int, kind: int, way: str) -> Fraction:
        """The share of a transfer that moves meanwhile, on none of its ports for longer."""
        wait = self._wait(i, kind, way)
        shares = (cycles / Fraction(self._cycles(i, way)[port]) for port, cycles in wait.items())
        return min(*shares, self._shares(way)[i][kind]) if wait else Fraction()

    def _ramp(self, i: int, kind: int) -> Ramp:
        """What a pass waits for."""
        nominal = (self._loaded(i, way, self._wait(i, kind, way)) for way in (IN, OUT))
        jobs = (self._job(i, way, self._waited(i, kind, way)) for way in (IN, OUT))
        return Ramp(_present(nominal), _present(jobs))

    def _rest(self, i: int, way: str, kind: int, bursts: int = 1) -> Job | None:
        """What that leaves of a pass's share."""
        share = self._shares(way)[i][kind] - self._waited(i, kind, way)
        return self._job(i, way, share, bursts)

    def _jobs(self, indices: list[int], kind: int, way: str) -> tuple[Job, ...]:
        return _present(self._job(i, way, self._shares(way)[i][kind]) for i in indices)

    def _job(self, i: int, way: str, share: Fraction, bursts: int = 1) -> Job | None:
        """A share of one way of a transfer; None where there is nothing to move."""
        if not share:
            return None
        loads = {port: share * Fraction(cycles) for port, cycles in self._cycles(i, way).items()}
        return self._loaded(i, way, loads, bursts)

    def _loaded(self, i: int, way: str, loads: Exact, bursts: int = 1) -> Job:
        ticks = ((self._ports[port], ceil(n * TICKS)) for port, n in loads.items() if n)
        return Job(_label(self._moves[i], way), self._moves[i].tensor, tuple(ticks), bursts)


def joined(ramps: Iterable[Ramp]) -> Ramp:
    """Ramps side by side."""
    both = list(ramps)
    nominal = tuple(job for ramp in both for job in ramp.nominal)
    return Ramp(nominal, tuple(job for ramp in both for job in ramp.jobs))


def _waits(once: Cycles, always: Cycles, starts: int) -> tuple[Exact, Exact]:
    """Cycles that the first start waits, and each later one, from those of one and of all."""
    first = {port: Fraction(cycles) for port, cycles in once.items() if cycles}
    later = {port: (Fraction(always[port]) - n) / max(starts - 1, 1) for port, n in first.items()}
    return first, {port: n for port, n in later.items() if n > 0}


def _present(jobs: Iterable[Job | None]) -> tuple[Job, ...]:
    return tuple(job for job in jobs if job)


def _label(move: Transfer, way: str) -> str:
    return f"{move.link.child} {'fill' if way == IN else 'drain'} {move.tensor}"
