"""The page itself: one HTML file with its style, script and charts inside, and nothing fetched."""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hwsim.page import charts, facts, layer_table, nest, runs, tables, tradeoff, unfolded
from hwsim.page.runs import Run, Shown, ShownLayer
from hwsim.page.vega import Chart
from hwsim.table import digits

POLICY = (
    "default-src 'none'; style-src '{style}'; script-src '{script}'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True, kw_only=True)
class LayerOnSide:
    """A layer's facts as (name, text) and its loop nest on one side."""

    title: str
    facts: tuple[tuple[str, str], ...]
    nest: tuple[nest.Line, ...]


@dataclass(frozen=True, kw_only=True)
class LayerSection:
    """A layer with what it is on each side."""

    layer: ShownLayer
    energies: str
    sides: tuple[LayerOnSide, ...]


@dataclass(frozen=True, kw_only=True)
class SideSection:
    """A side with its facts and the chart of its layers."""

    shown: Shown
    facts: tuple[tuple[str, str], ...]
    chart: Chart


def html(found: Sequence[Run]) -> str:
    """The whole page of these runs; the same text for the same runs."""
    style, script = _text("page.css"), _text("page.js")
    environment = Environment(
        loader=PackageLoader("hwsim.page", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = runs.sides(found)
    return environment.get_template("page.html").render(
        policy=Markup(POLICY.format(style=_hash(style), script=_hash(script))),
        style=Markup(style),
        script=Markup(script),
        title=", ".join(run.title for run in found),
        runs=found,
        shown=shown,
        **_tradeoffs(found, shown),
        **(_sides(shown) if shown else {}),
    )


def _text(name: str) -> str:
    return files("hwsim.page").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """What a content security policy calls a text by."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _tradeoffs(found: Sequence[Run], shown: Sequence[Shown]) -> dict[str, object]:
    """What is said of all points; no charts of a side by itself, which trades nothing off."""
    points = tradeoff.placed(found, shown)
    if len(points) == len(shown) == 1:
        return {"tradeoff_charts": [], "point_sections": []}
    left_out = len(shown) + sum(len(run.front) for run in found) - len(points)
    return {
        "tradeoff_charts": list(tradeoff.charts(points)),
        "tradeoff_table": tables.tradeoffs(points),
        "left_out": left_out,
        "point_sections": list(unfolded.sections(points)),
    }


def _sides(shown: Sequence[Shown]) -> dict[str, object]:
    layers = runs.layers(shown)
    rows = [row for each in shown for row in each.side.layers]
    return {
        "summary": tables.summary(shown),
        "energy_chart": charts.energy_by_side(shown),
        "roofline": charts.roofs(shown),
        "layers": layer_table.of_sides(shown, layers),
        "filters": {
            "side": [each.title for each in shown],
            "operation": sorted({row.op for row in rows}),
            "bound": sorted({row.bound for row in rows if not row.fused_into}),
        },
        "beside": list(tables.side_by_side(shown, layers)) if len(shown) > 1 else [],
        "quantities": tables.QUANTITIES,
        "side_sections": list(_side_sections(shown)),
        "layer_sections": [_layer_section(each, shown) for each in layers if each.mapped],
    }


def _side_sections(shown: Sequence[Shown]) -> Iterator[SideSection]:
    most_pj = max((row.energy_pj for each in shown for row in each.side.layers), default=0.0)
    for each in shown:
        chart = charts.energy_by_layer(each, most_pj=most_pj)
        yield SideSection(
            shown=each, facts=(("run", each.run), *facts.of_side(each.side)), chart=chart
        )


def _layer_section(layer: ShownLayer, shown: Sequence[Shown]) -> LayerSection:
    found = [(row, each) for row, each in zip(layer.rows, shown, strict=True) if row]
    sides = [
        LayerOnSide(
            title=each.title, facts=tuple(facts.of_layer(row, each.side)), nest=nest.lines(row)
        )
        for row, each in found
    ]
    energies = ", ".join(f"{digits(row.energy_pj / 1e6)}" for row, _ in found)
    return LayerSection(layer=layer, energies=f"{energies} µJ", sides=tuple(sides))
