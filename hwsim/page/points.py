"""Points of a trade-off beside the runs: what a search found, one line of JSON each.

A folder of results may hold `front.json`:

    {"schema_version": 1,
     "points": [{"label": "6 bits", "energy_pj": 4.1e8, "latency_ms": 2.9, "accuracy": 0.938,
                 "area_mm2": 12.3, "weight_bits": 6}]}

`label`, `energy_pj` and `latency_ms` are required; `accuracy` is a share in 0..1 and `area_mm2` the
chip's; `record` is the path, from that folder on, of a file as `hwsim simulate` writes it, with the
point's layers; any other key holds a number, a word or a truth and is shown as a setting.
"""

from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from hwsim import single
from hwsim.config import Config
from hwsim.errors import ConfigError
from hwsim.results import read_record
from hwsim.side import Side

FILE = "front.json"

Real = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Setting = str | bool | int | Annotated[float, Field(allow_inf_nan=False)] | None


class Point(Config):
    """Energy of a batch, its latency, and what else is known; other keys are settings."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, Setting] = Field(init=False)

    label: str
    energy_pj: Real
    latency_ms: Real
    accuracy: Annotated[float, Field(ge=0, le=1)] | None = None
    area_mm2: Real | None = None
    record: str | None = None

    @property
    def settings(self) -> dict[str, Setting]:
        """What the file says beyond the fields above."""
        return dict(self.__pydantic_extra__)


class Front(Config):
    """The content of a `front.json`."""

    schema_version: Literal[1]
    points: tuple[Point, ...]


def read(path: Path) -> tuple[Point, ...]:
    """The points of a `front.json`. Raises InputError naming file, key and value."""
    return read_record(path, Front, what="a front").points


def layers(path: Path, found: Sequence[Point]) -> dict[str, Side]:
    """By the `record` of points of a `front.json`, what is in it. Raises InputError."""
    sides = {}
    for point in found:
        if point.record is not None:
            file = path.parent / point.record
            if not file.is_file():
                reason = "no such file; explore again, or leave it out"
                raise ConfigError(file=path, key="record", value=point.record, reason=reason)
            sides[point.record] = single.read(file).side
    return sides


def best_of(points: Sequence[Point]) -> tuple[bool, ...]:
    """Which points no other beats: one no worse in energy, latency, accuracy and area, and better
    in one.

    Points are compared with those of which as much is known.
    """
    order = sorted(range(len(points)), key=lambda place: _costs(points[place]))
    fronts: dict[tuple[bool, ...], list[tuple[float, ...]]] = {}
    kept = [False] * len(points)
    for place in order:
        costs = _costs(points[place])
        front = fronts.setdefault(tuple(cost == inf for cost in costs), [])
        kept[place] = not any(_beats(other, costs) for other in front)
        if kept[place]:
            front.append(costs)
    return tuple(kept)


def _costs(point: Point) -> tuple[float, ...]:
    accuracy = inf if point.accuracy is None else -point.accuracy
    return (
        point.energy_pj,
        point.latency_ms,
        accuracy,
        inf if point.area_mm2 is None else point.area_mm2,
    )


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
