"""What a plan may cost at most, as the user says it, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Literal

from hwsim.errors import InputError

Objective = Literal["energy", "latency", "edp", "accuracy"]
OBJECTIVES: tuple[Objective, ...] = ("energy", "latency", "edp", "accuracy")
QUANTITIES = ("energy", "latency", "size", "drop")
Totals = Mapping[str, float]  # energy in pJ, latency in ms, size in bits, drop in 0..1


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Bounds on the whole network for one batch; None where there is none.

    `accuracy_drop`: what accuracy may fall by, a share in 0..1 of all images (0.01: a point); with
    a `confidence`, what it falls by at most, as sure as that, so far as the images that judge tell:
    a plan of the search is one of several tried, so that it may still be one that was lucky.
    Others are absolute, or as a share of the network as it is. Raises InputError.
    """

    accuracy_drop: float | None = None
    confidence: float | None = None
    energy_pj: float | None = None
    energy_share: float | None = None
    latency_ms: float | None = None
    latency_share: float | None = None
    size_bits: float | None = None
    size_share: float | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None and not (isfinite(value) and value >= 0):
                raise InputError(f"budget: {each.name} = {value!r}: must be a number, 0 or more")
        if self.accuracy_drop is not None and self.accuracy_drop > 1:
            raise InputError(f"budget: accuracy_drop = {self.accuracy_drop!r}: at most 1")
        if self.confidence is not None and not 0.5 <= self.confidence < 1:
            raise InputError(f"budget: confidence = {self.confidence!r}: from 0.5 to below 1")

    def bounds(self, baseline: Totals) -> dict[str, float]:
        """The most of each quantity. Raises InputError for a share of what cannot be run."""
        found = {} if self.accuracy_drop is None else {"drop": self.accuracy_drop}
        absolute = {"energy": self.energy_pj, "latency": self.latency_ms, "size": self.size_bits}
        shares = {
            "energy": self.energy_share,
            "latency": self.latency_share,
            "size": self.size_share,
        }
        for quantity in absolute:
            share, most = shares[quantity], absolute[quantity]
            limits = [] if most is None else [most]
            if share is not None:
                if quantity not in baseline:
                    raise InputError(
                        f"budget: {quantity}_share = {share}: the machine cannot run the network "
                        "as it is, in words of so many bits: say the most in absolute terms"
                    )
                limits.append(share * baseline[quantity])
            if limits:
                found[quantity] = min(limits)
        return found


def check_objective(objective: str, budget: Budget) -> None:
    """Raises InputError on an objective that is unknown, or that nothing would keep accurate."""
    if objective not in OBJECTIVES:
        known = ", ".join(OBJECTIVES)
        raise InputError(f"objective = {objective!r}: known: {known}")
    if objective != "accuracy" and budget.accuracy_drop is None:
        raise InputError(
            f"budget: accuracy_drop is missing: say what accuracy may fall by to minimise "
            f"{objective}, or search for objective='accuracy' under the other budgets"
        )


def excess(totals: Totals, bounds: Mapping[str, float]) -> dict[str, float]:
    """By what share of itself each budget is exceeded, those that hold left out.

    Of a budget of 0 the excess counts as it is.
    """
    over = {
        quantity: (totals[quantity] - most) / (most or 1.0) for quantity, most in bounds.items()
    }
    return {quantity: share for quantity, share in over.items() if share > ROUNDING}


ROUNDING = 1e-6
