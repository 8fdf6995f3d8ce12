"""Latency of a nest by ZigZag's rules: cycles of the nest, stalls, first tiles in, last tiles out.

A flow stalls where what it needs in a period exceeds what its port may give in it: the whole period
where the receiving memory has room for a second tile, else a window of it. Ports of all memories
work side by side, flows of one port one after the other, in the union of their windows. A flow
that happens only once may hide behind the computation, but for one innermost tile.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np

from benchmarks.peers.zigzag_flow import PLAIN, Flow, Key, Operand, flows
from benchmarks.peers.zigzag_machine import Buffer, Machine, Port, Way


@dataclass(frozen=True)
class Time:
    """Cycles of the nest itself, those it stalls, and those before its start and after its end."""

    computing: int
    stall: float
    onloading: float
    offloading: float

    @property
    def cycles(self) -> float:
        """All of them."""
        return self.computing + self.stall + self.onloading + self.offloading


@dataclass(frozen=True)
class Duty:
    """A flow at a port: cycles it takes in a period, and cycles it is allowed."""

    key: Key
    flow: Flow
    real: int
    allowed: int

    @property
    def stall(self) -> int:
        """Cycles by which it is late in all, or early if negative."""
        return (self.real - self.allowed) * (self.flow.count - 1)

    @property
    def window(self) -> int:
        """Cycles it is allowed in all."""
        return self.allowed * (self.flow.count - 1)


@dataclass(frozen=True)
class Clock:
    """The nests of a layer on a machine, with averaged and with whole spatial factors."""

    averaged: dict[str, Operand]
    whole: dict[str, Operand]
    machine: Machine

    @cached_property
    def computing(self) -> int:
        """Cycles of the nest."""
        nest = next(iter(self.whole.values()))
        return nest.cycles(len(nest.temporal))

    @cached_property
    def flows(self) -> dict[Key, Flow]:
        """All flows."""
        return flows(self.whole)

    @cached_property
    def doubled(self) -> dict[tuple[str, int], bool]:
        """Whether a tensor's memory has room for the next tile; never beside the MACs (0).

        A memory's free half goes to the operand that asks first. What a tile takes is counted
        without its outermost loops that change all of it.
        """
        own = {
            (tensor, memory): self._share(nest, memory)
            for tensor, nest in self.averaged.items()
            for memory in range(len(nest.temporal))
        }
        shared = {place: sum(own[other] for other in self._sharers(place)) for place in own}
        found = dict.fromkeys(((tensor, 0) for tensor in self.averaged), False)
        for tensor, memory in own:
            fits = own[tensor, memory] <= 1 - shared[tensor, memory]
            found[tensor, memory + 1] = shared[tensor, memory] <= 0.5 or fits
            if shared[tensor, memory] > 0.5 and fits:
                for place in self._sharers((tensor, memory)):
                    shared[place] += own[tensor, memory]
        return found

    def _share(self, nest: Operand, memory: int) -> float:
        bits = nest.tile(memory + 1) * nest.bits(memory + 1)
        size = self.machine.memories[nest.tensor][memory].bits
        return bits // nest.top(memory + 1, PLAIN[nest.tensor]) / size

    def _sharers(self, place: tuple[str, int]) -> list[tuple[str, int]]:
        """The tensors' memories that are the same buffer."""
        buffer = self.machine.memories[place[0]][place[1]]
        return [
            (tensor, memory)
            for tensor in self.averaged
            for memory, other in enumerate(self.machine.memories[tensor])
            if other is buffer
        ]

    def duty(self, key: Key, port: Port) -> Duty:
        """A flow at its port."""
        tensor, memory, way = key
        flow = self.flows[key]
        free = self.doubled[tensor, memory if way.inner else memory + 1]
        real = ceil(flow.elements * flow.bits / port.bits)
        return Duty(key, flow, real, flow.period if free else flow.window)

    @cached_property
    def ports(self) -> list[tuple[Port, list[Duty]]]:
        """Every port and the flows that pass it."""
        return [
            (port, [self.duty(key, port) for key in self._keys(buffer, port)])
            for buffer in self.machine.buffers
            for port in buffer.ports
        ]

    def _keys(self, buffer: Buffer, port: Port) -> Iterator[Key]:
        for tensor, way in port.serves:
            if tensor in self.whole:
                key = tensor, self.machine.memories[tensor].index(buffer), way
                if key in self.flows:
                    yield key

    @cached_property
    def stall(self) -> int:
        """Cycles that the busiest port keeps the MACs waiting."""
        return max(0, *(_stall(duties) for _, duties in self.ports if duties))

    @cached_property
    def ramps(self) -> dict[Key, tuple[float, bool]]:
        """Cycles of a flow before the start or after the end, and whether both inputs share its
        port; psums do not count.
        """
        found: dict[Key, tuple[float, bool]] = {}
        for port, duties in self.ports:
            counted = [duty for duty in duties if _is_first_or_last(duty.key)]
            often = [duty for duty in counted if duty.flow.count > 1]
            once = [duty for duty in counted if duty.flow.count == 1]
            left = self._left(port, once, sum(duty.flow.mean_bits for duty in often))
            cycles = [*zip(once, left, strict=True), *((duty, duty.real) for duty in often)]
            found |= {duty.key: (real, port.joins_inputs) for duty, real in cycles}
        return found

    def _left(self, port: Port, once: Sequence[Duty], busy_bits: int) -> list[float]:
        """Cycles left of flows that happen once, after hiding as much as the port has to spare."""
        spare = max(0.0, (port.bits - busy_bits) / port.bits * (self.computing + self.stall))
        left: dict[Key, float] = {duty.key: duty.real for duty in once}
        for duty in sorted(once, key=lambda duty: -duty.real):
            nest = self.whole[duty.key[0]]
            least = ceil(nest.tile(1) * nest.bits(1) / port.bits)
            hidden = min(max(0.0, duty.real - least), max(0.0, spare))
            left[duty.key] -= hidden
            spare -= hidden
        return [left[duty.key] for duty in once]


def latency(averaged: dict[str, Operand], whole: dict[str, Operand], machine: Machine) -> Time:
    """Latency of a layer whose nests are known."""
    clock = Clock(averaged, whole, machine)
    return Time(clock.computing, clock.stall, _onloading(clock), _offloading(clock))


def _is_first_or_last(key: Key) -> bool:
    tensor, _, way = key
    return tensor != "ofmap" or way in (Way.WRITE_UP, Way.READ_UP)


def _stall(duties: Sequence[Duty]) -> int:
    """How late a port's flows are together, or early if there is one alone."""
    if len(duties) == 1:
        return duties[0].stall
    late = sum(duty.stall for duty in duties if duty.stall > 0)
    early = sum(duty.stall for duty in duties if duty.stall <= 0)
    windows = sum(duty.window for duty in duties)
    return late + max(0, early + windows - _union(duties))


def _union(duties: Sequence[Duty]) -> int:
    """Cycles in which at least one flow is allowed; windows start with their periods."""
    for duty in duties:
        if duty.flow.period == duty.allowed:
            return duty.flow.period * duty.flow.count
    longest = max(duties, key=lambda duty: duty.flow.period)
    time = np.arange(longest.flow.period)
    allowed = [time % duty.flow.period < duty.allowed for duty in duties]
    return int(np.any(allowed, axis=0).sum()) * longest.flow.count


def _onloading(clock: Clock) -> float:
    """Cycles until the first tiles are in: one input's own memories fill beside the other's ports,
    what both share they take in turn.
    """
    inputs = [tensor for tensor in ("weight", "ifmap") if tensor in clock.whole]
    parts = {tensor: _loading(clock, tensor) for tensor in inputs}
    if len(inputs) == 1:
        return parts[inputs[0]].alone
    first, second = (parts[tensor] for tensor in inputs)
    return min(first.before(second), second.before(first))


@dataclass(frozen=True)
class Loading:
    """An input's cycles over ports of its own, over shared ones at one end, and at both ends."""

    alone: float
    half: float
    shared: float

    def before(self, other: "Loading") -> float:
        """Both inputs' cycles where this one uses the shared ports first."""
        return self.shared + max(other.shared + other.half + other.alone, self.half + self.alone)


def _loading(clock: Clock, tensor: str) -> Loading:
    alone = half = shared = 0.0
    for memory in range(len(clock.whole[tensor].temporal) - 1):
        into, into_shared = clock.ramps[tensor, memory, Way.WRITE_DOWN]
        out, out_shared = clock.ramps[tensor, memory + 1, Way.READ_DOWN]
        cycles = max(into, out)
        if into_shared and out_shared:
            shared += cycles
        elif into_shared or out_shared:
            half = cycles
        else:
            alone += cycles
    return Loading(alone, half, shared)


def _offloading(clock: Clock) -> float:
    """Cycles until the last ofmap tile is out, memory by memory."""
    return sum(
        max(
            clock.ramps["ofmap", memory, Way.READ_UP][0],
            clock.ramps["ofmap", memory + 1, Way.WRITE_UP][0],
        )
        for memory in range(len(clock.whole["ofmap"].temporal) - 1)
    )
