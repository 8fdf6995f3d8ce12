"""What `hwsim explore` prints and writes: tables, CSV, JSON and plots."""

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hwsim import gallery, single
from hwsim.explore.evaluate import EXCLUDED
from hwsim.explore.findings import Cell, Findings, Record, tables, to_json
from hwsim.explore.store import Reason
from hwsim.page import explored, points
from hwsim.ruled import ruled
from hwsim.table import digits

# Points of the front whose layers are recorded, 0.1 to 0.3 MB each, in a folder of this name.
MOST_UNFOLDED, LAYERS = 24, "front"
NONE: Mapping[str, single.Run] = {}
HOOKS = {"draw_exploration": "", "draw_comparison": "compared"}
# How measures are shown: by what they are divided, and in what unit.
UNITS = {
    "energy_pj": (1e6, "energy µJ"),
    "latency_ms": (1.0, "latency ms"),
    "area_mm2": (1.0, "area mm²"),
    "edp_js": (1e-9, "EDP nJ s"),
    "cycles": (1e6, "Mcycles"),
    "dram_bits": (8e3, "DRAM kB"),
    "on_chip_bits": (8192.0, "on chip KiB"),
    "accuracy": (0.01, "top-1 %"),
}
MOST_SHOWN, LEAST_SHARE = 12, 0.0005


def contents(found: Findings, layers: Mapping[str, single.Run] = NONE) -> dict[str, bytes]:
    """findings.json, tables as CSV, points for `hwsim report` with the `layers` of some, by their
    keys, and the plots as PNG and SVG."""
    files = {"findings.json": to_json(found).encode()} | tables(found)
    if found.front:
        places = {key: f"{LAYERS}/{key[:16]}.json" for key in layers}
        files[points.FILE] = _points(found, places)
        files |= {places[key]: single.to_json(run).encode() for key, run in layers.items()}
    for hook, needs in HOOKS.items():
        if found.front and (not needs or getattr(found, needs)):
            files |= gallery.images(gallery.plots(hook), hook, found)
    return files


def _points(found: Findings, places: Mapping[str, str]) -> bytes:
    """The front and some of the points that it beats, as the page of runs reads them."""
    records = [*found.front, *found.sample[: explored.MOST_OTHERS]]
    known = explored.points(records, found.parameters, places)
    front = points.Front(schema_version=1, points=tuple(known))
    return (front.model_dump_json(exclude_none=True, indent=1) + "\n").encode()


def shown(found: Findings) -> RenderableType:
    """Counts, the front, what each parameter does, and the comparison."""
    counts = ", ".join(f"{count:,} {status}" for status, count in sorted(found.counts.items()))
    parts: list[RenderableType] = [f"{found.space}: {counts or 'no points'}"]
    parts += [Text(_why(each)) for each in found.reasons]
    if found.front:
        parts += ["", _front(found)]
    if found.effects:
        parts += ["", _effects(found)]
    if found.compared:
        parts += ["", _compared(found)]
    return Group(*parts)


def _why(found: Reason) -> str:
    """Why points were not measured, in a line."""
    link = " by their" if found.status == EXCLUDED else ":"
    return f"{found.points:,} {found.status}{link} {found.reason}"


def number(measure: str, value: Cell) -> str:
    """A measure's value in the unit that it is shown in."""
    return "" if value is None else digits(float(value) / UNITS[measure][0])


def _front(found: Findings) -> Table:
    """MOST_SHOWN of its points."""
    own = [name for name in found.parameters if len({row[name] for row in found.front}) > 1]
    table = _table(own or found.parameters[:1], found.objectives)
    for row in spread(found.front, MOST_SHOWN):
        cells = [number(name, row[name]) for name in found.objectives]
        table.add_row(*(_plain(row[name]) for name in own or found.parameters[:1]), *cells)
    table.title = f"Pareto front: {len(found.front)} of {found.points:,} points"
    return table


def spread(front: Sequence[Record], most: int) -> list[Record]:
    """At most so many points of a front, evenly spaced along it, both ends among them."""
    last = len(front) - 1
    places = {round(last * step / (most - 1)) for step in range(most)}
    return [front[place] for place in sorted(places) if front]


def _effects(found: Findings) -> Table:
    table = _table(["parameter", "measure", "best", "worst"], ())
    table.title = "what each parameter does by itself"
    for head in ("factor", "var. %"):
        table.add_column(head, justify="right", no_wrap=True)
    effects = sorted(found.effects, key=lambda effect: -effect.share)[:MOST_SHOWN]
    for each in (effect for effect in effects if effect.share >= LEAST_SHARE):
        named = each.parameter, each.measure, _plain(each.best), _plain(each.worst)
        table.add_row(*named, f"{each.factor:.2f}", f"{100 * each.share:.1f}")
    return table


def _compared(found: Findings) -> Table:
    measures = list(found.compared[0].best)
    table = _table([str(found.compare), "points"], [])
    table.title = "best of each, and geometric mean"
    for name in measures:
        table.add_column(UNITS[name][1], justify="right", no_wrap=True)
        table.add_column("mean", justify="right", no_wrap=True)
    for each in found.compared:
        pairs = ((number(n, each.best[n]), number(n, each.mean[n])) for n in measures)
        cells = (cell for pair in pairs for cell in pair)
        table.add_row(_plain(each.value), f"{each.points:,}", *cells)
    return table


def _table(heads: Iterable[str], measures: Iterable[str]) -> Table:
    table = ruled()
    for head in heads:
        table.add_column(head, no_wrap=True)
    for name in measures:
        table.add_column(UNITS[name][1], justify="right", no_wrap=True)
    return table


def _plain(value: Cell) -> str:
    return f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value)
