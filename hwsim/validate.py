"""Published numbers beside simulated ones: the rows of the validation table."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, cast

import yaml

from hwsim.registry import hook, module, names


@dataclass(frozen=True, kw_only=True)
class Row:
    """One published number and what hwsim makes of it, both in the unit that `quantity` ends in.

    `fitted`: a parameter behind `simulated` was chosen by looking at this very number. `verified`
    is False for a publication that could not be checked: such a row is for reading only.
    """

    machine: str
    network: str
    layer: str
    quantity: str
    published: float
    simulated: float
    source: str
    fitted: bool = False
    verified: bool = True

    @property
    def error(self) -> float:
        """(simulated - published) / published; the plain difference where nothing is published."""
        return (self.simulated - self.published) / (self.published or 1.0)

    def record(self) -> dict[str, Any]:
        """The row as plain values, as `hwsim validate --json` gives it."""
        return {
            "machine": self.machine,
            "network": self.network,
            "layer": self.layer,
            "quantity": self.quantity,
            "published": self.published,
            "simulated": self.simulated,
            "error": self.error,
            "fitted": self.fitted,
            "verified": self.verified,
            "source": self.source,
        }


def rows(subjects: Iterable[str] | None = None) -> Iterator[Row]:
    """The rows of the named subjects, of all by default. Raises UnknownNameError."""
    for name in names("validation") if subjects is None else subjects:
        found = hook(module("validation", name), "rows")
        yield from cast(Iterable[Row], found())


def published(subject: str) -> dict[str, Any]:
    """The numbers in a subject's YAML file."""
    text = files("hwsim.validation").joinpath(f"{subject}.yaml").read_text(encoding="utf-8")
    return cast(dict[str, Any], yaml.safe_load(text))
