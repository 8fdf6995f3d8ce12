"""Published numbers beside simulated ones: the rows of the validation table, and what they reach.

A subject is a file in `hwsim/validation/`: `rows()`, a docstring for the page and, where something
is to be reached or was fitted, `TARGETS` and `FITTED`.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from inspect import getdoc
from typing import Any, TypeVar, cast

import yaml

from hwsim.errors import UnknownNameError
from hwsim.progress import Progress, quiet
from hwsim.registry import hook, module, names

# Relative errors below this are the last bits of a float: "equal" means no more than that.
EQUAL = 1e-9

Key = TypeVar("Key", bound=Hashable)


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

    @property
    def distance(self) -> float:
        """The error's magnitude to nine decimals: beyond, machines may differ on which is worst."""
        return round(abs(self.error), 9)

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


@dataclass(frozen=True, kw_only=True)
class Summary:
    """How well the rows of a network and quantity agree, on one machine or a family of them."""

    machine: str
    network: str
    quantity: str
    rows: tuple[Row, ...]

    @property
    def predicted(self) -> list[Row]:
        """The verified rows that nothing was fitted on."""
        return [row for row in self.rows if row.verified and not row.fitted]

    @property
    def fitted(self) -> list[Row]:
        """The verified rows that a parameter was fitted on."""
        return [row for row in self.rows if row.verified and row.fitted]

    @property
    def unverified(self) -> list[Row]:
        """The rows for reading only."""
        return [row for row in self.rows if not row.verified]

    @property
    def mean_error(self) -> float:
        """The mean of the errors' magnitudes: of what is predicted, or of what is fitted."""
        return mean_error(self.predicted or self.fitted)

    @property
    def worst(self) -> Row | None:
        """The row of the largest error among the same, the first of equals."""
        return max(self.predicted or self.fitted, key=lambda row: row.distance, default=None)


@dataclass(frozen=True, kw_only=True)
class Target:
    """What the verified rows of a quantity are to reach; errors are relative.

    `mean` bounds the mean of the errors' magnitudes, `each` the magnitude of every error but those
    of `exceptions` rows. Without a `machine` or `network` those of all count.
    """

    quantity: str
    machine: str = ""
    network: str = ""
    mean: float | None = None
    each: float | None = None
    exceptions: int = 0

    def rows(self, found: Iterable[Row]) -> tuple[Row, ...]:
        """Those that the target speaks of."""
        return tuple(
            row
            for row in found
            if row.verified
            and row.quantity == self.quantity
            and self.machine in ("", row.machine)
            and self.network in ("", row.network)
        )

    def within(self, found: Iterable[Row]) -> int:
        """How many of its rows err by no more than `each`."""
        bound = (self.each or 0.0) + EQUAL
        return sum(abs(row.error) <= bound for row in self.rows(found))

    def met(self, found: Iterable[Row]) -> bool:
        """Whether the rows reach it; never where there are none."""
        rows = self.rows(found)
        mean = self.mean is None or mean_error(rows) <= self.mean + EQUAL
        each = self.each is None or self.within(rows) >= len(rows) - self.exceptions
        return bool(rows) and mean and each


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A constant chosen by looking at published numbers, and the numbers that it was kept from."""

    constant: str
    value: str
    fitted_on: str
    checked_on: str


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A subject's rows, its text for the page, what it is to reach and what was fitted."""

    name: str
    text: str
    rows: tuple[Row, ...]
    targets: tuple[Target, ...] = ()
    fitted: tuple[Fitted, ...] = ()

    @property
    def machines(self) -> dict[str, list[Row]]:
        """Its rows by machine; machines `NAME_...` are a family, told together as the subject's."""
        found = grouped(self.rows, lambda row: row.machine)
        family = len(found) > 1 and all(name.startswith(f"{self.name}_") for name in found)
        return {self.name: list(self.rows)} if family else found

    @property
    def summaries(self) -> list[Summary]:
        """One for each machine, or family of them, network and quantity, as they first appear."""
        return [
            Summary(machine=machine, network=network, quantity=quantity, rows=tuple(rows))
            for machine, of_machine in self.machines.items()
            for (network, quantity), rows in grouped(
                of_machine, lambda row: (row.network, row.quantity)
            ).items()
        ]


def mean_error(rows: Iterable[Row]) -> float:
    """The mean of the errors' magnitudes; 0 without rows."""
    errors = [abs(row.error) for row in rows]
    return sum(errors) / len(errors) if errors else 0.0


def grouped(rows: Iterable[Row], key: Callable[[Row], Key]) -> dict[Key, list[Row]]:
    """Rows by key, keys in the order in which they first appear."""
    found: dict[Key, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def compare(chosen: Iterable[str] = (), *, progress: Progress = quiet) -> tuple[Subject, ...]:
    """The named subjects, simulated; all where none is named. Raises UnknownNameError at once."""
    known = names("validation")
    wanted = tuple(dict.fromkeys(chosen)) or tuple(known)
    for name in wanted:
        if name not in known:
            raise UnknownNameError(kind="subject", name=name, known=known)
    return tuple(_subject(name, progress) for name in wanted)


def _subject(name: str, progress: Progress) -> Subject:
    progress(f"validating {name}")
    file = module("validation", name)
    found = cast(Iterable[Row], hook(file, "rows")())
    return Subject(
        name=name,
        text=getdoc(file) or "",
        rows=tuple(found),
        targets=getattr(file, "TARGETS", ()),
        fitted=getattr(file, "FITTED", ()),
    )


def rows(subjects: Iterable[str] | None = None) -> Iterator[Row]:
    """The rows of the named subjects, of all by default. Raises UnknownNameError."""
    for subject in compare(subjects or ()):
        yield from subject.rows


def published(subject: str) -> dict[str, Any]:
    """The numbers in a subject's YAML file."""
    text = files("hwsim.validation").joinpath(f"{subject}.yaml").read_text(encoding="utf-8")
    return cast(dict[str, Any], yaml.safe_load(text))
