"""The event-driven engine: plays a mapping pass by pass on ports, buses and PEs, with SimPy.

It keeps the rules of `hwsim.latency`, but lets them happen. The PEs go from pass to pass; before
one they wait for its tiles, in it for the pads to be filled, for the first tiles, for whatever port
or bus takes longer than the arithmetic, and for the last tile. Buffers above the PEs that are not
`single` are fed and emptied by processes of their own, a tile ahead or behind, over the same ports.

Laws: never fewer cycles than `hwsim.latency`, and more by no more than `contention_cycles`, so that
without contention both give the same; but for first tiles that at some starts take longest at one
port and at others at another. Of contention the sums over a whole layer see what the busiest port
takes longer than all that the PEs do, but not passes that are bound by different ports, tiles that
come late, jobs that queue for a port.

Layers run one after another. The next one's first weights are fetched while the present one leaves
their ports idle, from the moment when its own last weights are in use.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import count
from math import ceil

import numpy as np
from simpy import Event

from hwsim._floor import LATE, QUEUED, Floor, IdleWork, Steps, in_cycles
from hwsim._folding import Feeding, Folding, Moment
from hwsim.hardware import Accelerator
from hwsim.mapping import Mapping
from hwsim.ports import PES, port_names
from hwsim.schedule import Job, Kind, Ramp, Schedule, joined, schedule
from hwsim.trace import FOLDED, STALL, Trace
from hwsim.workload import Layer

Task = tuple[Layer, Mapping]
IDLE, MOVING, HELD = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class Execution:
    """What happened, in cycles. PEs compute or stand: `compute_cycles` and the stalls add up.

    `processing_cycles` leaves out the time in which `single` buffers above the PEs are filled and
    drained. `busy_cycles` by port, bus and PEs. `stall_cycles` by cause, the longest first: fills
    and drains of `single` buffers, first and last tiles, skewed starts; and contention: a port's
    name, where it takes longer than the arithmetic beside it, "late: " a tile that had not come or
    left in time, "queued: " a job whose ports were taken.
    """

    cycles: int
    processing_cycles: int
    compute_cycles: int
    busy_cycles: dict[str, float]
    stall_cycles: dict[str, float]
    trace: Trace

    @property
    def contention_cycles(self) -> float:
        """The time that the PEs stood because ports were too slow or taken."""
        return sum(
            cycles
            for cause, cycles in self.stall_cycles.items()
            if cause in self.busy_cycles or cause.startswith((LATE, QUEUED))
        )


def run(
    tasks: Sequence[Task], machine: Accelerator, *, fast_forward: bool = True, trace: bool = True
) -> Execution:
    """Layers one after another on one machine; mappings are taken to be valid.

    `fast_forward` jumps over passes that repeat, which changes nothing but the trace: there a span
    on the lane `folded` stands for them. Without `trace` it has no spans.
    """
    floor = Floor((*port_names(machine).values(), PES), trace=trace)
    schedules = [schedule(layer, mapping, machine) for layer, mapping in tasks]
    floor.env.run(until=floor.env.process(_layers(floor, schedules, fast_forward)))
    stalls = sorted(floor.stalls.items(), key=lambda stall: (-stall[1], stall[0]))
    waited = {job.label for s in schedules for kind in s.kinds for job in kind.fills + kind.drains}
    busy = dict(zip(floor.ports, floor.busy, strict=True))
    return Execution(
        cycles=_whole(floor.now),
        processing_cycles=_whole(floor.now - sum(n for cause, n in stalls if cause in waited)),
        compute_cycles=_whole(busy[PES]),
        busy_cycles={name: in_cycles(ticks) for name, ticks in busy.items()},
        stall_cycles={cause: in_cycles(ticks) for cause, ticks in stalls if in_cycles(ticks)},
        trace=Trace(
            machine=machine.name,
            clock_mhz=machine.clock_mhz,
            lanes=(*floor.ports, STALL, FOLDED),
            spans=tuple(sorted(floor.spans, key=lambda span: span.start)),
        ),
    )


def _whole(ticks: int) -> int:
    """Cycles begun, but for what rounding to whole ticks may have added."""
    return ceil(round(in_cycles(ticks), 3))


def _layers(floor: Floor, schedules: Sequence[Schedule], fast_forward: bool) -> Steps:
    ahead: dict[str, IdleWork] = {}
    for this, following in zip(schedules, [*schedules[1:], None], strict=True):
        layer = _LayerRun(floor, this, following, fast_forward=fast_forward)
        yield from layer.play(ahead)
        ahead = layer.ahead


class _Flow:
    """A buffer above the PEs being fed, or emptied, one tile at a time.

    For a feed: the tile of pass `coming` comes once pass `after` has begun. `tile`: what is being
    carried, or was last.
    """

    def __init__(self, cause: str, index: int) -> None:
        self.cause, self.index = cause, index
        self.coming, self.after = 0, -1
        self.phase, self.part, self.until, self.turn = IDLE, 0, 0, 0
        self.tile: Job | None = None
        self.awaited: Event | None = None

    def wake(self) -> None:
        """Lets whoever waits for this flow, or the flow itself, go on."""
        if self.awaited is not None:
            self.awaited.succeed()
            self.awaited = None


class _LayerRun:
    """One layer on the floor. `ahead`: what it fetches for the layer that follows, by feed."""

    def __init__(
        self,
        floor: Floor,
        plan: Schedule,
        following: Schedule | None,
        *,
        fast_forward: bool,
    ) -> None:
        self._floor, self._env, self._plan = floor, floor.env, plan
        self._at, self._begun = 0, -1
        self._feeds = [_Flow(LATE + name, i) for i, name in enumerate(plan.feeds)]
        self._sends = [_Flow(LATE + name, i) for i, name in enumerate(plan.sends)]
        self._next = [_following(plan, feed.index) for feed in self._feeds]
        self._wanted = _weights(following) if following else {}
        self._shut: Event | None = None
        self._turns = count()
        self._folding = Folding(plan.order) if fast_forward else None
        self.ahead: dict[str, IdleWork] = {}

    def play(self, ahead: dict[str, IdleWork]) -> Steps:
        """Runs the layer, some first tiles of which were fetched ahead."""
        floor, plan = self._floor, self._plan
        for work in ahead.values():
            work.stop()
        floor.layer = plan.layer
        heads = zip(plan.feeds, plan.head, strict=True)
        left = [ahead[name].left if name in ahead else ramp for name, ramp in heads]
        yield from floor.ramp(joined(left), "first tiles into the buffers")
        for feed in self._feeds:
            feed.coming = self._next[feed.index][0]
            feed.after = min(feed.coming, 1) - 1
            self._env.process(self._feed(feed))
        while self._at < len(plan.order):
            self._fold()
            yield from self._pass(plan.kinds[plan.order[self._at]])
            self._at += 1
        for send in self._sends:
            yield from self._gone(send)
        for ramp in plan.tail:
            yield from floor.ramp(ramp, "last tile out of the buffers")

    def _pass(self, kind: Kind) -> Steps:
        floor = self._floor
        for feed in self._feeds:
            if feed.coming <= self._at:
                yield from self._await(feed)
        yield from self._alone(kind.fills)
        self._begin()
        for job in kind.pad_fills:
            yield from floor.serve(job)
        yield from floor.ramp(kind.first, "first tiles into the PEs")
        yield from floor.stand(int(self._env.now) + kind.skew, "skewed start")
        yield from self._work(kind)
        for ramp in kind.last:
            yield from floor.ramp(ramp, "last tile out of the PEs")
        for job in kind.pad_drains:
            yield from floor.serve(job)
        yield from self._alone(kind.drains)
        for send, tile in zip(self._sends, kind.sends, strict=True):
            if tile:
                yield from self._gone(send)
                send.phase, send.part, send.turn = HELD, 0, next(self._turns)
                send.tile = tile
                self._env.process(self._move(send, tile))

    def _work(self, kind: Kind) -> Steps:
        """Arithmetic, and all that flows beside it."""
        floor, now = self._floor, int(self._env.now)
        computed = floor.compute(kind.compute)
        until = max([computed, *map(floor.carry, kind.flows)])
        yield self._env.timeout(until - now)
        if until > computed:
            floor.stood(computed, floor.last_port(kind.flows))

    def _alone(self, jobs: Sequence[Job]) -> Steps:
        """Jobs one by one, while the PEs stand and nothing else moves above them."""
        if not jobs:
            return
        self._shut = self._env.event()
        moving = (f.until for f in (*self._feeds, *self._sends) if f.phase == MOVING)
        yield from self._floor.stand(max(moving, default=0), f"{LATE}bursts above the PEs")
        for job in jobs:
            yield from self._floor.serve(job)
        self._shut.succeed()
        self._shut = None

    def _begin(self) -> None:
        """The pass's tiles are in use, so that the next ones may come."""
        self._begun = self._at
        for feed in self._feeds:
            if feed.after <= self._begun:
                feed.wake()

    def _feed(self, feed: _Flow) -> Steps:
        """Brings one tile after another, then the first one of the next layer."""
        plan = self._plan
        while feed.coming < len(plan.order):
            yield from self._room(feed)
            tile = plan.kinds[plan.order[feed.coming]].feeds[feed.index]
            assert tile
            yield from self._move(feed, tile)
            feed.after, feed.coming = feed.coming, self._next[feed.index][feed.coming + 1]
        name = plan.feeds[feed.index]
        if name in self._wanted:
            yield from self._room(feed)
            self.ahead[name] = IdleWork(self._floor, self._wanted[name])
            yield from self.ahead[name].work()

    def _room(self, feed: _Flow) -> Steps:
        """Waits until the tile before last is no longer in use."""
        if self._begun < feed.after:
            feed.awaited = self._env.event()
            yield feed.awaited

    def _move(self, flow: _Flow, tile: Job) -> Steps:
        """Carries a tile in bursts, between which others' jobs may come."""
        flow.tile = tile
        for part in range(tile.bursts):
            flow.part = part
            while self._shut is not None:
                flow.phase, flow.turn = HELD, next(self._turns)
                yield self._shut
            flow.phase, flow.turn = MOVING, next(self._turns)
            flow.until = self._floor.carry(tile.part(part))
            yield self._env.timeout(flow.until - self._env.now)
        flow.phase = IDLE
        flow.wake()

    def _gone(self, send: _Flow) -> Steps:
        """Waits until a buffer's last tile has left."""
        if send.phase != IDLE:
            yield from self._await(send)

    def _await(self, flow: _Flow) -> Steps:
        """The PEs stand until a tile has moved."""
        since, flow.awaited = int(self._env.now), self._env.event()
        yield flow.awaited
        self._floor.stood(since, flow.cause)

    def _fold(self) -> None:
        """Jumps over passes where they repeat."""
        floor = self._floor
        if self._folding is None or floor.idle_work:
            return
        found = self._folding.jump(self._state(), self._moment())
        if found:
            earlier, jump = found
            floor.repeat(earlier.counted, jump.repeats, f"{jump.repeats} x {jump.length} passes")
            self._at += jump.passes
            self._begun += jump.passes
            for feed, moved in zip(self._feeds, jump.moved, strict=True):
                feed.coming += jump.passes * moved
                feed.after += jump.passes * moved

    def _moment(self) -> Moment:
        feeds = tuple(Feeding(feed.coming, feed.after) for feed in self._feeds)
        return Moment(self._at, feeds, self._floor.counted)

    def _state(self) -> Hashable:
        """All that decides what happens next, relative to now."""
        now, flows = int(self._env.now), (*self._feeds, *self._sends)
        active = [flow for flow in flows if flow.phase != IDLE]
        return (
            tuple(max(0, free - now) for free in self._floor.free),
            tuple((f.phase, f.tile, f.part, max(0, f.until - now)) for f in active),
            tuple(sorted(range(len(active)), key=lambda i: active[i].turn)),
            tuple(flow.phase != IDLE for flow in flows),
        )


def _following(plan: Schedule, feed: int) -> list[int]:
    """For each pass, and past the last, the first from there on for which a tile comes."""
    comes = np.array([kind.feeds[feed] is not None for kind in plan.kinds])[plan.order]
    passes = len(plan.order)
    at = np.where(comes, np.arange(passes), passes)
    return [*np.minimum.accumulate(at[::-1])[::-1].tolist(), passes]


def _weights(plan: Schedule) -> dict[str, Ramp]:
    """First tiles that depend on no other layer, by feed."""
    heads = zip(plan.feeds, plan.head, strict=True)
    return {name: ramp for name, ramp in heads if any(j.tensor == "weight" for j in ramp.jobs)}
