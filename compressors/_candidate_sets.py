"""Sets of candidates by name, for scenarios."""

from collections.abc import Callable, Mapping

from compressors import precision
from compressors.codesign import (
    NONE,
    Candidate,
    default_candidates,
    filters,
    fixed_point,
    magnitude,
)
from hwsim.errors import UnknownNameError


def candidate_set(name: str) -> tuple[Candidate, ...]:
    """The candidates of a set. Raises UnknownNameError."""
    if name not in SETS:
        raise UnknownNameError(kind="candidate set", name=name, known=SETS)
    return SETS[name]()


def zeros() -> tuple[Candidate, ...]:
    """The smallest weights of a layer at zero, at rates of its own."""
    return (NONE, *map(magnitude, (0.3, 0.5, 0.6, 0.7, 0.8, 0.9)))


def channels() -> tuple[Candidate, ...]:
    """Fewer filters, at rates of each group of layers."""
    return (NONE, *map(filters, (0.875, 0.75, 0.625, 0.5)))


def compact() -> tuple[Candidate, ...]:
    """Few that tell most, for networks of many layers: widths, zeros, and both."""
    plain = (fixed_point(8, 8), fixed_point(6, 8), fixed_point(4, 8), fixed_point(6, 6))
    sparse = tuple(fixed_point(8, 8).after(magnitude(share)) for share in (0.3, 0.5))
    return (NONE, *plain, *sparse)


SETS: Mapping[str, Callable[[], tuple[Candidate, ...]]] = {
    "default": default_candidates,
    "precision": lambda: (NONE, *precision.widths()),
    "fused": lambda: (NONE, *precision.widths((8, 4, 2), (8, 4))),
    "shifts": lambda: (NONE, *precision.shifts()),
    "zeros": zeros,
    "channels": channels,
    "compact": compact,
}
