"""The roofline of a side: how fast its layers run and how often they use what they fetch.

Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for multicore
architectures", CACM 52(4), 2009, with MACs in place of floating-point operations.
"""

from dataclasses import dataclass

from hwsim.side import LayerRow, Side

KINDS = ("convolution", "depthwise or grouped", "1x1 convolution", "linear")


@dataclass(frozen=True, kw_only=True)
class Point:
    """A layer below the roof: `intensity` in MACs a DRAM byte, `speed` in GMAC/s."""

    kind: str
    intensity: float
    speed: float


def point(row: LayerRow | None, side: Side) -> Point | None:
    """Where a layer lies; None where it has no MACs, no cycles or no DRAM traffic."""
    if row is None or not (row.macs and row.cycles and row.dram_bits):
        return None
    return Point(
        kind=_kind(row),
        intensity=row.macs / (row.dram_bits / 8),
        speed=row.macs / row.cycles * side.clock_mhz / 1e3,
    )


def _kind(row: LayerRow) -> str:
    if row.op != "conv":
        return "linear"
    if row.bounds.get("G", 1) > 1:
        return "depthwise or grouped"
    window = row.bounds.get("R", 1) * row.bounds.get("S", 1)
    return "convolution" if window > 1 else "1x1 convolution"


def peak(side: Side) -> float:
    """GMAC/s with every PE busy."""
    return side.peak_macs_per_cycle * side.clock_mhz / 1e3


def dram(side: Side) -> float | None:
    """GB/s, None where nothing bounds the DRAM."""
    bits = side.dram_bits_per_cycle
    return None if bits is None else bits / 8 * side.clock_mhz / 1e3


def ridge(side: Side) -> float | None:
    """The intensity at which the DRAM feeds every PE."""
    bandwidth = dram(side)
    return peak(side) / bandwidth if bandwidth else None


def roof(side: Side, intensity: float) -> float:
    """The most GMAC/s at an intensity."""
    bandwidth = dram(side)
    return min(peak(side), bandwidth * intensity) if bandwidth else peak(side)
