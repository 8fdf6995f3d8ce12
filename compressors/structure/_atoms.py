"""Channels that stand or fall together: a partition that grows coarser, parts of it fixed."""

from collections.abc import Iterable


class Atoms:
    """Numbers of channels, tied into atoms; an atom may be fixed, for a reason."""

    def __init__(self) -> None:
        self.parents: list[int] = []
        self.reasons: dict[int, str] = {}

    def fresh(self, count: int) -> tuple[int, ...]:
        """So many channels, each an atom of its own."""
        first = len(self.parents)
        self.parents.extend(range(first, first + count))
        return tuple(range(first, first + count))

    def root(self, channel: int) -> int:
        """The channel that names this one's atom: its lowest."""
        while self.parents[channel] != channel:
            self.parents[channel] = self.parents[self.parents[channel]]
            channel = self.parents[channel]
        return channel

    def tie(self, some: Iterable[int], others: Iterable[int]) -> None:
        """Let each go with its partner."""
        for one, other in zip(some, others, strict=True):
            low, high = sorted((self.root(one), self.root(other)))
            self.parents[high] = low

    def fix(self, channels: Iterable[int], reason: str) -> None:
        """None of these can go; the first reason given stays."""
        for channel in channels:
            self.reasons.setdefault(channel, reason)

    def fixed(self) -> dict[int, str]:
        """The reason of every fixed atom by its root."""
        found: dict[int, str] = {}
        for channel, reason in self.reasons.items():
            found.setdefault(self.root(channel), reason)
        return found
