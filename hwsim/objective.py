"""What a mapping is judged by: energy, cycles, or a product of powers of both."""

from collections.abc import Callable, Iterable
from typing import Literal, TypeVar

Objective = Literal["energy", "cycles", "edp", "ed2p"]
# The powers of energy and of cycles.
POWERS: dict[Objective, tuple[int, int]] = {
    "energy": (1, 0),
    "cycles": (0, 1),
    "edp": (1, 1),
    "ed2p": (1, 2),
}
UNITS: dict[Objective, str] = {
    "energy": "pJ",
    "cycles": "cycles",
    "edp": "pJ x cycles",
    "ed2p": "pJ x cycles²",
}

T = TypeVar("T")


def value(objective: Objective, energy_pj: float, cycles: float) -> float:
    """Energy and cycles under an objective: pJ, cycles, pJ x cycles or pJ x cycles squared."""
    of_energy, of_cycles = POWERS[objective]
    return float(energy_pj) ** of_energy * float(cycles) ** of_cycles


def undominated(items: Iterable[T], key: Callable[[T], tuple[float, ...]]) -> tuple[T, ...]:
    """Those that no other matches or beats in all of one or two quantities, by the first one."""
    kept: list[T] = []
    for item in sorted(items, key=key):
        if not kept or key(item)[-1] < key(kept[-1])[-1]:
            kept.append(item)
    return tuple(kept)
