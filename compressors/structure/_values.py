"""What is known of a tensor while channels are followed through a network."""

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True)
class Channels:
    """A tensor of `rank` axes, whose `axis` holds these channels, and no other axis any.

    Where `spread`, each channel stands for some neighbours, equally many for all: the elements of
    its map after a flatten.
    """

    ids: tuple[int, ...]
    axis: int
    rank: int
    spread: bool = False

    def axes(self, *axes: int) -> tuple[int, ...]:
        """Axes counted from the front."""
        return tuple(axis % self.rank for axis in axes)

    def of(self, ids: tuple[int, ...]) -> Self:
        """The same tensor of other channels."""
        return replace(self, ids=ids)

    def widened(self, width: int) -> tuple[int, ...] | None:
        """The channel of each of `width` elements of the axis; None where that cannot be."""
        times = width // len(self.ids) if self.spread else 1
        wide = tuple(channel for channel in self.ids for _ in range(times))
        return wide if len(wide) == width else None


@dataclass(frozen=True)
class Sizes:
    """The shape of a tensor, read by the network's own code."""

    of: Channels


@dataclass(frozen=True)
class Size:
    """One entry of a shape: how many channels there are, if it is of their axis."""

    of: Channels
    axis: int

    @property
    def counts_channels(self) -> bool:
        """Whether this is how many channels there are, and will be when some are gone."""
        return self.axis % self.of.rank == self.of.axis and not self.of.spread


Value = object
"""Channels, Sizes, Size, a number, a sequence of these, or None: nothing is known."""
