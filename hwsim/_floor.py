"""The engine's clock and ports, and what is counted on them while layers run."""

from collections import defaultdict
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace

from simpy import Environment, Event

from hwsim.ports import PES
from hwsim.schedule import TICKS, Job, Ramp
from hwsim.trace import FOLDED, STALL, Span

Steps = Generator[Event, object, None]

LATE, QUEUED = "late: ", "queued: "


def in_cycles(ticks: int) -> float:
    """Ticks in cycles, to the millionth: finer, they hold what rounding to ticks added."""
    return round(ticks / TICKS, 6)


@dataclass(frozen=True)
class Counted:
    """Ticks since the first layer began, ticks each port was busy, ticks stood by cause."""

    now: int
    busy: tuple[int, ...]
    stalls: dict[str, int]


class Floor:
    """Ports that serve their jobs one at a time, in the order in which they come.

    A port's next free moment is known as soon as a job joins its queue, so that a job is one event,
    not one for each port (`simpy.Resource` of capacity 1 would end it at the same moment). Times
    are whole ticks. `skipped` ticks were folded: they passed, but not on SimPy's clock.
    """

    def __init__(self, ports: Sequence[str], *, trace: bool) -> None:
        self.env = Environment()
        self.ports = ports
        self.free = [0] * len(ports)
        self.busy = [0] * len(ports)
        self.stalls: dict[str, int] = defaultdict(int)
        self.skipped = 0
        self.layer = ""
        self.spans: list[Span] = []
        self.idle_work: list[IdleWork] = []
        self._trace = trace
        self._pes = ports.index(PES)

    @property
    def now(self) -> int:
        """Ticks since the first layer began."""
        return int(self.env.now) + self.skipped

    def carry(self, job: Job) -> int:
        """Puts a job into its ports' queues; returns when, on SimPy's clock, all have served it."""
        now = end = int(self.env.now)
        for work in self.idle_work:
            work.give_way(job)
        for port, ticks in job.loads:
            start = max(self.free[port], now)
            self.free[port] = start + ticks
            self.busy[port] += ticks
            end = max(end, start + ticks)
            self._record(self.ports[port], start, ticks, job.label, job.tensor)
        return end

    def count_idle(self, job: Job, since: int, before: int, done: int) -> None:
        """Counts, of a job on idle ports, the part between two moments of its duration."""
        for port, ticks in job.loads:
            part = ticks * done // job.ticks - ticks * before // job.ticks
            self.busy[port] += part
            self._record(self.ports[port], since, part, f"ahead: {job.label}", job.tensor)

    def compute(self, ticks: int) -> int:
        """Has the PEs work; returns when, on SimPy's clock, they are done."""
        now = int(self.env.now)
        self.busy[self._pes] += ticks
        self._record(PES, now, ticks, "compute", "")
        return now + ticks

    def stand(self, until: int, cause: str) -> Steps:
        """The PEs stand until a moment on SimPy's clock, for a cause."""
        now = int(self.env.now)
        if until > now:
            yield self.env.timeout(until - now)
            self.stood(now, cause)

    def stood(self, since: int, cause: str) -> None:
        """Counts the time that the PEs stood, up to now."""
        ticks = int(self.env.now) - since
        if ticks:
            self.stalls[cause] += ticks
            self._record(STALL, since, ticks, cause, "")

    def serve(self, job: Job) -> Steps:
        """The PEs wait for a job, and before it for what its ports have to do first."""
        alone, until = int(self.env.now) + job.ticks, self.carry(job)
        yield from self.stand(alone, job.label)
        yield from self.stand(until, QUEUED + job.label)

    def ramp(self, ramp: Ramp, cause: str) -> Steps:
        """The PEs wait for the first tiles in, or the last one out."""
        if ramp.nominal:
            alone = int(self.env.now) + ramp.ticks
            until = max([alone, *map(self.carry, ramp.jobs)])
            yield from self.stand(alone, cause)
            yield from self.stand(until, QUEUED + cause)

    def last_port(self, jobs: Iterable[Job]) -> str:
        """The name of the port that is done last with these jobs."""
        ports = {port: None for job in jobs for port, _ in job.loads}
        return self.ports[max(ports, key=lambda port: self.free[port])]

    @property
    def counted(self) -> "Counted":
        """All that was counted until now."""
        return Counted(self.now, tuple(self.busy), dict(self.stalls))

    def repeat(self, earlier: "Counted", times: int, label: str) -> None:
        """Lets happen `times` more what happened since an earlier moment."""
        ticks = self.now - earlier.now
        self._record(FOLDED, int(self.env.now), times * ticks, label, "", times)
        self.skipped += times * ticks
        self.busy = [
            now + times * (now - n) for now, n in zip(self.busy, earlier.busy, strict=True)
        ]
        for cause, now in self.stalls.items():
            self.stalls[cause] = now + times * (now - earlier.stalls.get(cause, 0))

    def _record(
        self, lane: str, start: int, ticks: int, label: str, tensor: str, repeats: int = 1
    ) -> None:
        if self._trace and ticks:
            begin = start + self.skipped
            start_cycle, end_cycle = in_cycles(begin), in_cycles(begin + ticks)
            self.spans.append(
                Span(lane, start_cycle, end_cycle, label, tensor, self.layer, repeats)
            )


class IdleWork:
    """The next layer's first tile of a tensor, fetched while nothing else needs its ports.

    It gives way at once, so that the present layer never waits for it.
    """

    def __init__(self, floor: Floor, ramp: Ramp) -> None:
        self._floor, self._ramp = floor, ramp
        self._job = ramp.jobs[0]
        self._done = 0
        self._since = 0
        self._interrupt: Event | None = None

    def work(self) -> Steps:
        """Fetches until all is done or `stop` is called."""
        floor, env = self._floor, self._floor.env
        floor.idle_work.append(self)
        while self in floor.idle_work and self._done < self._job.ticks:
            idle = max(floor.free[port] for port, _ in self._job.loads)
            if idle > env.now:
                yield env.timeout(idle - env.now)
                continue
            self._since, self._interrupt = int(env.now), env.event()
            yield env.timeout(self._job.ticks - self._done) | self._interrupt
            self._pause()
        self.stop()

    def give_way(self, job: Job) -> None:
        """Pauses where another job needs one of the ports."""
        if {port for port, _ in job.loads} & {port for port, _ in self._job.loads}:
            self._pause()

    def stop(self) -> None:
        """Ends the fetching, finished or not."""
        self._pause()
        if self in self._floor.idle_work:
            self._floor.idle_work.remove(self)

    @property
    def left(self) -> Ramp:
        """What is still to fetch."""
        jobs = tuple(self._cut(job) for job in self._ramp.jobs)
        return Ramp(tuple(self._cut(job) for job in self._ramp.nominal), jobs)

    def _cut(self, job: Job) -> Job:
        done, of = self._done, self._job.ticks
        return replace(job, loads=tuple((port, n - n * done // of) for port, n in job.loads))

    def _pause(self) -> None:
        if self._interrupt is None:
            return
        before, self._done = self._done, self._done + int(self._floor.env.now) - self._since
        self._floor.count_idle(self._job, self._since, before, self._done)
        self._interrupt.succeed()
        self._interrupt = None
