"""Energy against latency and accuracy: the sides of all runs, and the points of searches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import log
from typing import Any

from hwsim.objective import undominated
from hwsim.page.labels import AWAY_PX, SPOTS, spots
from hwsim.page.points import Point, best_of
from hwsim.page.runs import Run, Shown
from hwsim.page.vega import PAPER, SOFT, Chart, chart, colours, shapes
from hwsim.side import Side
from hwsim.table import digits

MOST_OTHERS = 1000
NAMED_POINTS, MANY_POINTS = 12, 40
LOG_RANGE = 10
WIDTH_PX, HEIGHT_PX = 440, 320
PJ_A_MICROJOULE = 1e6
Record = dict[str, Any]


@dataclass(frozen=True)
class Down:
    """What an axis shows beside energy; `sign` is -1 where more is better."""

    field: str
    title: str
    sign: int


LATENCY = Down("latency", "latency (ms)", 1)
ACCURACY = Down("accuracy", "top-1 accuracy (%)", -1)
AREA = Down("area", "area (mm²)", 1)


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A point on the page: a side of a run, by its anchor, or a point of a search, whose `layers`
    may be known. `key` is its own anchor; `best`: whether none beats it."""

    run: str
    point: Point
    side: str = ""
    layers: Side | None = None
    key: str = ""
    best: bool = False

    @property
    def link(self) -> str:
        """Where it leads: to the side, to its layers, or to its row in the table."""
        return self.side or (f"{self.key}-layers" if self.layers else self.key)


def placed(runs: Sequence[Run], shown: Sequence[Shown]) -> tuple[Placed, ...]:
    """Sides first, then the fronts' points, by energy; of those that others beat, the first 1,000.

    Points without accuracy or area are judged among such alone, see `points.best_of`.
    """
    found = [Placed(run=each.run, point=_of_side(each), side=each.key) for each in shown]
    found += [
        Placed(run=run.title, point=point, layers=run.layers_of(point))
        for run in runs
        for point in _by_energy(run.front)
    ]
    best = best_of([each.point for each in found])
    others, kept = 0, []
    for place, (each, undefeated) in enumerate(zip(found, best, strict=True), 1):
        others += not (undefeated or each.side)
        if undefeated or each.side or others <= MOST_OTHERS:
            kept.append(replace(each, key=f"point-{place}", best=undefeated))
    return tuple(kept)


def _of_side(shown: Shown) -> Point:
    side = shown.side
    return Point(
        label=shown.title,
        energy_pj=side.energy_pj,
        latency_ms=side.latency_ms,
        accuracy=side.top1,
    )


def _by_energy(points: Sequence[Point]) -> list[Point]:
    return sorted(points, key=lambda point: (point.energy_pj, point.latency_ms, point.label))


def charts(points: Sequence[Placed]) -> Iterator[Chart]:
    """Energy against latency, and against accuracy and area where two points or more have one."""
    names = list(dict.fromkeys(each.run for each in points))
    yield _chart(points, LATENCY, names)
    judged = [each for each in points if each.point.accuracy is not None]
    built = [each for each in points if each.point.area_mm2 is not None]
    for own, down in ((judged, ACCURACY), (built, AREA)):
        if len(own) > 1:
            yield _chart(own, down, names)


def _chart(points: Sequence[Placed], down: Down, names: list[str]) -> Chart:
    """The same run is of the same colour in all of them."""
    sides = [_record(each) for each in points if each.side]
    ranked = sorted(points, key=lambda each: each.best)
    found = [_record(each) for each in ranked if not each.side]
    records = [*found, *sides]  # sides on top, then what is best
    named = records if len(records) <= NAMED_POINTS else sides
    best = sum(each.best for each in points)
    return chart(
        {
            "width": WIDTH_PX,
            "height": HEIGHT_PX,
            "data": {"values": records},
            "encoding": _axes(records, down),
            "layer": [
                _stairs(records, down),
                _marks(names, size=110 if len(points) <= MANY_POINTS else 45),
                *_labels(records, named, down),
            ],
        },
        key=f"{down.field}-chart",
        title=f"Energy and {down.field}",
        said=f"{len(points):,} points, {best:,} of them beaten by no other (filled). "
        "The table below has all of them.",
        linked=True,
    )


def _record(each: Placed) -> Record:
    point = each.point
    return {
        "label": point.label,
        "run": each.run,
        "best": "on the front" if each.best else "beaten",
        "energy": point.energy_pj / PJ_A_MICROJOULE,
        "latency": point.latency_ms,
        "accuracy": None if point.accuracy is None else 100 * point.accuracy,
        "area": point.area_mm2,
        "link": f"#{each.link}",
        "said": "; ".join(_said(each)),
    }


def _said(each: Placed) -> Iterator[str]:
    point = each.point
    yield point.label
    if each.run not in point.label:
        yield each.run
    yield f"energy {digits(point.energy_pj / PJ_A_MICROJOULE)} µJ"
    yield f"latency {digits(point.latency_ms)} ms"
    if point.accuracy is not None:
        yield f"top-1 {100 * point.accuracy:.2f} %"
    if point.area_mm2 is not None:
        yield f"area {digits(point.area_mm2)} mm²"
    yield from (f"{name} {value}" for name, value in point.settings.items())
    yield "beaten by no other" if each.best else "beaten by another"


def _axes(records: Sequence[Record], down: Down) -> Record:
    return {
        "x": _axis(records, "energy", "energy of one batch (µJ)"),
        "y": _axis(records, down.field, down.title),
    }


def _axis(records: Sequence[Record], field: str, title: str) -> Record:
    """From the least to the most, logarithmic where these lie far apart."""
    far = _lie_far_apart([record[field] for record in records])
    scale = {"type": "log"} if far else {"zero": False, "nice": True}
    return {
        "field": field,
        "type": "quantitative",
        "title": title,
        "scale": scale | {"padding": 14},
        "axis": {"tickCount": 6, "format": ",~r"},
    }


def _lie_far_apart(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) > LOG_RANGE * min(values)


def _pixels(values: Sequence[float], length_px: float) -> list[float]:
    """About where an axis puts values; the chart itself knows better."""
    scaled = [log(value) for value in values] if _lie_far_apart(values) else values
    low, high = min(scaled), max(scaled)
    return [length_px * (value - low) / ((high - low) or 1) for value in scaled]


def _stairs(records: Sequence[Record], down: Down) -> Record:
    """What is reached, from the least energy on: a step at each point of the front of the two."""
    front = undominated(records, lambda each: (each["energy"], down.sign * each[down.field]))
    line = {"type": "line", "interpolate": "step-after", "strokeWidth": 1.2, "aria": False}
    return {
        "data": {"values": list(front)},
        "mark": line | {"color": SOFT, "strokeDash": [4, 4]},
    }


def _marks(names: list[str], *, size: int) -> Record:
    legend = {"columns": 2} if len(names) > 1 else None
    shape = {"domain": names, "range": shapes(len(names))}
    colour = {"domain": names, "range": colours(len(names))}
    hollow = {"condition": {"test": "datum.best == 'beaten'", "value": PAPER}}
    return {
        "mark": {"type": "point", "size": size, "strokeWidth": 2, "opacity": 1},
        "encoding": {
            "stroke": {"field": "run", "title": None, "scale": colour, "legend": legend},
            "fill": {"field": "run", "title": None, "scale": colour, "legend": None} | hollow,
            "shape": {"field": "run", "title": None, "scale": shape, "legend": legend},
            "href": {"field": "link"},
            "description": {"field": "said"},
        },
    }


def _labels(records: Sequence[Record], named: Sequence[Record], down: Down) -> Iterator[Record]:
    """The names of some points, a layer for all in the same spot; one without room is left out."""
    x = _pixels([each["energy"] for each in records], WIDTH_PX)
    y = _pixels([each[down.field] for each in records], HEIGHT_PX)
    places = [(x[i], HEIGHT_PX - y[i]) for i, each in enumerate(records) if each in named]
    found = spots([each["label"] for each in named], places, width_px=WIDTH_PX)
    for spot in SPOTS:
        away = AWAY_PX if spot.align == "left" else -AWAY_PX
        mark = {"type": "text", "align": spot.align, "dx": away, "dy": spot.below_px}
        shown = [each for each, chosen in zip(named, found, strict=True) if chosen == spot]
        if shown:
            yield {
                "data": {"values": shown},
                "mark": mark | {"aria": False},
                "encoding": {"text": {"field": "label"}},
            }
