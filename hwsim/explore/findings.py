"""What a store says of a space: its Pareto front, what each parameter does, and how values compare.

Rows are read in passes, never all at once.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice
from math import exp
from typing import cast

import numpy as np
from numpy.typing import NDArray

from hwsim.explore.run import Run
from hwsim.explore.space import MAXIMISED, SETTINGS
from hwsim.explore.store import MEASURED, Reason, Selection, Store
from hwsim.results import csv_text

# Points of a plot's background: the first by key, which is a hash, are a fair sample.
SAMPLE = 4000
REASONS = 5

Cell = str | int | float | None
Record = dict[str, Cell]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What a parameter does to a measure, over all points that were measured.

    `share` of the variance of the measure's logarithm that its values explain by themselves (a
    first-order Sobol index where every combination was measured), and by what `factor` the
    geometric mean differs between the best and the worst of them.
    """

    parameter: str
    measure: str
    share: float
    factor: float
    best: Cell
    worst: Cell


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One value of the parameter to be compared: how many points it has, the best of each measure
    and its geometric mean, and the point that is best in the first objective."""

    value: Cell
    points: int
    best: dict[str, float]
    mean: dict[str, float]
    best_point: Record


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All that a run's outputs are made of. `counts`: rows of the family by status;
    `reasons`: why some were not measured, the most frequent ones; `sample`: some
    of the points, whether on the front or not."""

    space: str
    description: str
    parameters: tuple[str, ...]
    objectives: tuple[str, ...]
    compare: str | None
    points: int
    counts: dict[str, int]
    reasons: tuple[Reason, ...]
    front: tuple[Record, ...]
    effects: tuple[Effect, ...]
    compared: tuple[Compared, ...]
    sample: tuple[Record, ...]


def findings(run: Run) -> Findings:
    """What is known of a run's space by now, of points within its constraints."""
    space = run.task.space
    wanted = Selection(run.family, space.axes, space.constraints)
    shown = _columns(run)
    return Findings(
        space=space.name,
        description=space.description,
        parameters=tuple(space.axes),
        objectives=space.objectives,
        compare=space.compare,
        points=run.store.total(wanted),
        counts=run.store.count(run.family),
        reasons=tuple(run.store.reasons(run.family, most=REASONS)),
        front=tuple(front(run.store, wanted, space.objectives, shown)),
        effects=tuple(_effects(run, wanted)),
        compared=tuple(_compared(run, wanted, shown)),
        sample=tuple(sample(run.store, wanted, shown, most=SAMPLE)),
    )


def _columns(run: Run) -> list[str]:
    """What identifies a point, and all that was measured of it."""
    space = run.task.space
    filled = [space.fill.field] if space.fill else []
    own = [name for name in space.axes if name not in SETTINGS]
    return ["key", *SETTINGS, *own, *filled, *MEASURED]


def front(
    store: Store, wanted: Selection, objectives: Sequence[str], shown: Sequence[str]
) -> Iterator[Record]:
    """Points that no other matches or beats in all objectives, by the first of these; of points
    that are equal in all the first by key."""
    kept, keys = np.empty((0, len(objectives))), list[object]()
    signs = np.array([-1.0 if name in MAXIMISED else 1.0 for name in objectives])
    for chunk in store.rows(wanted, ["key", *objectives]):
        values = np.array([row[1:] for row in chunk], float) * signs
        values = np.concatenate((kept, values))
        keys = [*keys, *(row[0] for row in chunk)]
        chosen = undominated(values)
        kept, keys = values[chosen], [keys[place] for place in chosen]
    for place in np.lexsort(kept.T[::-1]):
        row = store.find(str(keys[place]))
        assert row is not None
        yield {name: row[name] for name in shown}


def undominated(values: NDArray[np.float64]) -> list[int]:
    """Rows that no other matches or beats in all columns, less being better; the first of equals.

    In the order of their sums a row is beaten only by one before it, up to equal sums.
    """
    order = np.lexsort((*values.T[::-1], values.sum(axis=1)))
    kept: list[int] = []
    for place in order.tolist():
        if not kept or not (values[kept] <= values[place]).all(axis=1).any():
            kept.append(place)
    return sorted(kept)


def _effects(run: Run, wanted: Selection) -> Iterator[Effect]:
    space = run.task.space
    for name, values in space.axes.items():
        if len(values) > 1:
            for measure in space.objectives:
                effect = _effect(run, wanted, name, measure)
                if effect:
                    yield effect


def _effect(run: Run, wanted: Selection, parameter: str, measure: str) -> Effect | None:
    groups = run.store.by_value(wanted, parameter, measure)
    if not groups:
        return None
    counts, means, squares = (np.array([getattr(g, k) for g in groups], float) for k in MOMENTS)
    mean = counts @ means / counts.sum()
    total = counts @ squares / counts.sum() - mean**2
    between = counts @ (means - mean) ** 2 / counts.sum()
    order = np.argsort(-means if measure in MAXIMISED else means, kind="stable")
    best, worst = groups[order[0]], groups[order[-1]]
    return Effect(
        parameter=parameter,
        measure=measure,
        share=float(between / total) if total > 1e-15 else 0.0,
        factor=exp(abs(worst.log_mean - best.log_mean)),
        best=best.value,
        worst=worst.value,
    )


MOMENTS = ("rows", "log_mean", "log_square")


def _compared(run: Run, wanted: Selection, shown: Sequence[str]) -> Iterator[Compared]:
    space = run.task.space
    if space.compare is None:
        return
    measures = (*dict.fromkeys((*space.objectives, "edp_js")),)
    groups = {
        name: {group.value: group for group in run.store.by_value(wanted, space.compare, name)}
        for name in measures
    }
    for group in groups[measures[0]].values():
        of_value = {
            name: known[group.value] for name, known in groups.items() if group.value in known
        }
        best = run.store.best(wanted, space.compare, group.value, measures[0])
        yield Compared(
            value=group.value,
            points=group.rows,
            best={
                name: each.most if name in MAXIMISED else each.least
                for name, each in of_value.items()
            },
            mean={name: exp(each.log_mean) for name, each in of_value.items()},
            best_point={name: best[name] for name in shown},
        )


def sample(store: Store, wanted: Selection, shown: Sequence[str], *, most: int) -> Iterator[Record]:
    """So many points, the first by key."""
    rows = chain.from_iterable(store.rows(wanted, shown))
    for row in islice(rows, most):
        yield dict(zip(shown, cast(tuple[Cell, ...], row), strict=True))


def to_json(found: Findings) -> str:
    """All of it but the sample."""
    record = {key: value for key, value in asdict(found).items() if key != "sample"}
    record["reasons"] = [each._asdict() for each in found.reasons]
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def tables(found: Findings) -> dict[str, bytes]:
    """The front, the effects and the comparison as CSV."""
    compared = [
        {"value": each.value, "points": each.points}
        | {f"best_{name}": value for name, value in each.best.items()}
        | {f"mean_{name}": value for name, value in each.mean.items()}
        for each in found.compared
    ]
    named = {
        "front.csv": found.front,
        "effects.csv": [asdict(each) for each in found.effects],
        "compared.csv": compared,
    }
    return {name: csv_text(records).encode() for name, records in named.items() if records}
