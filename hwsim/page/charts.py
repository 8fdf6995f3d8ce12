"""The page's charts of sides: energy in stacks, by layer and in all, and the roofline."""

from collections.abc import Iterable, Sequence
from typing import Any

from hwsim import roofline
from hwsim.cost import COMPONENTS
from hwsim.page.runs import Shown
from hwsim.page.vega import INK, PAPER, Chart, chart, colours
from hwsim.side import LayerRow, Side
from hwsim.table import digits

PJ_A_MICROJOULE = 1e6
Record = dict[str, Any]
DECADES = [float(f"1e{power}") for power in range(-6, 9)]
ROOF_SHAPES = dict(zip(roofline.KINDS, ("circle", "triangle-up", "square", "diamond"), strict=True))


def energy_by_side(shown: Sequence[Shown]) -> Chart:
    """Each side's energy, stacked by component."""
    records = [record for each in shown for record in _stack(each.title, each.side)]
    return chart(
        _bars(records, step=34, most=max(each.side.energy_pj for each in shown)),
        key="energy-chart",
        title="Energy of a batch by component",
        said=" ".join(f"{each.title}: {_parts(each.side)}." for each in shown),
    )


def energy_by_layer(shown: Shown, *, most_pj: float) -> Chart:
    """The energy of a side's layers, up to `most_pj`, so that charts of sides compare."""
    rows = [row for row in shown.side.layers if not row.fused_into]
    top = sorted(rows, key=lambda row: -row.energy_pj)[:3]
    most = ", ".join(f"{row.name} ({digits(row.energy_pj / PJ_A_MICROJOULE)} µJ)" for row in top)
    return chart(
        _bars([r for row in rows for r in _stack(row.name, row)], step=18, most=most_pj),
        key=f"{shown.key}-chart",
        title=f"Energy per layer, {shown.title}",
        said=f"{len(rows)} layers; the most goes to {most}. The table of layers has all of them.",
    )


def _stack(name: str, found: Side | LayerRow) -> Iterable[Record]:
    """A bar's segments, and what each says of itself."""
    for place, component in enumerate(COMPONENTS):
        energy_pj = found.energy_by_component_pj[component]
        if energy_pj:
            microjoules = digits(energy_pj / PJ_A_MICROJOULE)
            share = f"{100 * energy_pj / found.energy_pj:.1f} %"
            whole = digits(found.energy_pj / PJ_A_MICROJOULE)
            yield {
                "name": name,
                "component": component,
                "place": place,
                "energy": energy_pj / PJ_A_MICROJOULE,
                "said": f"{name}; {component}: {microjoules} µJ; {share} of {whole} µJ",
            }


def _parts(side: Side) -> str:
    """The components in words."""
    energies = ((name, side.energy_by_component_pj[name]) for name in COMPONENTS)
    said = [f"{name} {digits(pj / PJ_A_MICROJOULE)}" for name, pj in energies if pj]
    return f"{digits(side.energy_pj / PJ_A_MICROJOULE)} µJ, of which {', '.join(said)}"


def _bars(records: list[Record], *, step: int, most: float) -> dict[str, Any]:
    """Horizontal bars in the order of the records, a name each."""
    used = [name for name in COMPONENTS if any(record["component"] == name for record in records)]
    scale = {"domain": used, "range": [f"var(--{name.lower()})" for name in used]}
    axis = {"orient": "top", "tickCount": 6, "format": ",~r"}
    return {
        "width": 440,
        "height": {"step": step},
        "data": {"values": records},
        "mark": {"type": "bar", "stroke": PAPER, "strokeWidth": 0.7},
        "encoding": {
            "y": {
                "field": "name",
                "type": "nominal",
                "sort": None,
                "title": None,
                "axis": {"ticks": False, "domain": False, "labelPadding": 6, "grid": False},
            },
            "x": {
                "field": "energy",
                "type": "quantitative",
                "title": "energy of one batch (µJ)",
                "axis": axis,
                "scale": {"domain": [0, most / PJ_A_MICROJOULE or 1], "nice": True},
            },
            "color": {
                "field": "component",
                "type": "nominal",
                "title": None,
                "scale": scale,
                "legend": {"columns": 0},
            },
            "order": {"field": "place"},
            "description": {"field": "said"},
        },
    }


def roofs(shown: Sequence[Shown]) -> Chart | None:
    """The roofline of all sides; None where no layer has MACs and traffic."""
    points = [record for each in shown for record in _points(each)]
    if not points:
        return None
    names = [each.title for each in shown]
    colour = {
        "field": "side",
        "type": "nominal",
        "title": None,
        "scale": {"domain": names, "range": colours(len(names))},
        "legend": {"columns": 3, "symbolType": "stroke"},
    }
    low, high = _reach(points, shown)
    lines = [record for each in shown for record in _roof(each, low, high)]
    return chart(
        {"width": 760, "height": 380, "layer": [_lines(lines, colour), _marks(points, colour)]},
        key="roofline-chart",
        title="Speed and reuse of each layer",
        said=" ".join(_said(each) for each in shown),
    )


def _points(shown: Shown) -> Iterable[Record]:
    for row in shown.side.layers:
        found = roofline.point(row, shown.side)
        if found:
            share = 100 * found.speed / roofline.roof(shown.side, found.intensity)
            yield {
                "side": shown.title,
                "kind": found.kind,
                "intensity": found.intensity,
                "speed": found.speed,
                "said": f"{row.name}; {shown.title}; {digits(found.speed)} GMAC/s; "
                f"{digits(found.intensity)} MACs per DRAM byte; {share:.0f} % of its roof, "
                f"bound by {row.bound}",
            }


def _reach(points: Sequence[Record], shown: Sequence[Shown]) -> tuple[float, float]:
    """The intensities shown: all points, and every ridge with something on either side."""
    ridges = [knee for each in shown if (knee := roofline.ridge(each.side))]
    reached = [record["intensity"] for record in points]
    return min([*reached, *(knee / 3 for knee in ridges)]), max(
        [*reached, *(knee * 3 for knee in ridges)]
    )


def _roof(shown: Shown, low: float, high: float) -> Iterable[Record]:
    knee = roofline.ridge(shown.side)
    for intensity in [low, knee, high] if knee else [low, high]:
        speed = roofline.roof(shown.side, intensity)
        yield {"side": shown.title, "intensity": intensity, "speed": speed}


def _lines(records: list[Record], colour: Record) -> Record:
    # Roofs that coincide are all seen: each is drawn over the gaps of those before it.
    names = list(dict.fromkeys(record["side"] for record in records))
    gaps = [[1, 0], *([9, 9 * place] for place in range(1, len(names)))]
    scale = {"domain": names, "range": gaps}
    dash = {"field": "side", "type": "nominal", "legend": None, "scale": scale}
    return {
        "data": {"values": records},
        "mark": {"type": "line", "strokeWidth": 2, "aria": False},
        "encoding": _axes() | {"color": colour, "strokeDash": dash},
    }


def _marks(records: list[Record], colour: Record) -> Record:
    kinds = [kind for kind in ROOF_SHAPES if any(record["kind"] == kind for record in records)]
    shape = {
        "field": "kind",
        "type": "nominal",
        "title": None,
        "scale": {"domain": kinds, "range": [ROOF_SHAPES[kind] for kind in kinds]},
        "legend": {"columns": 4, "symbolStrokeColor": INK},
    }
    return {
        "data": {"values": records},
        "mark": {"type": "point", "size": 70, "strokeWidth": 1.6, "opacity": 1},
        "encoding": _axes() | {"color": colour, "shape": shape, "description": {"field": "said"}},
    }


def _axes() -> Record:
    return {
        "x": _logarithmic("intensity", "operational intensity (MACs per DRAM byte)"),
        "y": _logarithmic("speed", "speed (GMAC/s)"),
    }


def _logarithmic(field: str, title: str) -> Record:
    """An axis with a line at each power of ten."""
    return {
        "field": field,
        "type": "quantitative",
        "title": title,
        "scale": {"type": "log", "nice": False, "padding": 12},
        "axis": {"values": DECADES, "format": "~r", "labelOverlap": True},
    }


def _said(shown: Shown) -> str:
    side = shown.side
    bandwidth = roofline.dram(side)
    memory = f" and DRAM at {digits(bandwidth)} GB/s" if bandwidth else ""
    return f"{shown.title}: at most {digits(roofline.peak(side))} GMAC/s{memory}."
