"""Points of a search that `hwsim explore` has not brought to its end: those in its store."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from hwsim.errors import InputError
from hwsim.explore.findings import Record, front, sample
from hwsim.explore.space import SETTINGS
from hwsim.explore.store import LABELS, MEASURED, Selection, Store
from hwsim.page.points import Point

OBJECTIVES = ("energy_pj", "latency_ms", "area_mm2", "accuracy")
MOST_OTHERS = 1000
NONE: Mapping[str, str] = {}


def read(file: Path) -> tuple[Point, ...]:
    """The front of a store's points, and a sample of the others. Raises InputError."""
    store = Store(file)
    try:
        families = store.families()
        if len(families) > 1:
            raise InputError(
                f"{file}: holds points of {len(families)} spaces, or of one that changed: name the "
                "folder that `hwsim explore` wrote"
            )
        return tuple(point for family in families for point in _points(store, family))
    finally:
        store.close()


def _points(store: Store, family: str) -> list[Point]:
    wanted = Selection(family, {}, {})
    shown = [name for name in store.columns() if name not in LABELS]
    best = list(front(store, wanted, _objectives(store, wanted), ["key", *shown]))
    others = sample(store, wanted, ["key", *shown], most=MOST_OTHERS)
    return points([*best, *others], [name for name in shown if name not in MEASURED])


def _objectives(store: Store, wanted: Selection) -> list[str]:
    """Those that are known of the points."""
    found = next(iter(sample(store, wanted, OBJECTIVES, most=1)), {})
    return [name for name in OBJECTIVES if found.get(name) is not None]


def points(
    records: Sequence[Record], parameters: Sequence[str], files: Mapping[str, str] = NONE
) -> list[Point]:
    """Each record once, labelled by those of the parameters that vary; `files`: where the layers of
    some are recorded, by their keys."""
    unlike = {record["key"]: record for record in records}.values()
    own = [name for name in parameters if len({record.get(name) for record in unlike}) > 1]
    own = own or [name for name in parameters if name not in SETTINGS]
    return [
        Point.model_validate(
            {name: record[name] for name in own}
            | {name: record[name] for name in OBJECTIVES if record[name] is not None}
            | {"label": " ".join(str(record[name]) for name in own) or "point"}
            | {"record": files.get(str(record["key"]))}
        )
        for record in unlike
    ]
