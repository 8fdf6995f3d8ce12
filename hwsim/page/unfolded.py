"""Points of a front that lead to their layers: a section each, with their mappings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hwsim.page import facts, layer_table, nest
from hwsim.page.cells import PJ_A_MICROJOULE, Table
from hwsim.page.facts import Fact
from hwsim.page.tradeoff import Placed
from hwsim.side import LayerRow, Side
from hwsim.table import digits


@dataclass(frozen=True, kw_only=True)
class Nest:
    """The mapping of layers that are alike, the first of which names it."""

    key: str
    title: str
    energy: str
    facts: tuple[Fact, ...]
    lines: tuple[nest.Line, ...]


@dataclass(frozen=True, kw_only=True)
class PointSection:
    """A point with its figures, the table of its layers, and their mappings."""

    key: str
    title: str
    energy: str
    facts: tuple[Fact, ...]
    table: Table
    nests: tuple[Nest, ...]


def sections(points: Sequence[Placed]) -> Iterator[PointSection]:
    """Of all points that have their layers recorded, in their order."""
    for each in points:
        if each.layers:
            yield _section(each, each.layers)


def _section(placed: Placed, side: Side) -> PointSection:
    groups = _alike(side)
    keys = {group[0].name: f"{placed.link}-{n}" for n, group in enumerate(groups, start=1)}
    links = {row.name: f"#{keys[group[0].name]}" for group in groups for row in group}
    return PointSection(
        key=placed.link,
        title=placed.point.label,
        energy=f"{_microjoules(side)}, {digits(side.latency_ms)} ms",
        facts=(("run", placed.run), *_settings(placed), *facts.of_side(side)),
        table=layer_table.of_point(side, links, key=f"{placed.link}-table"),
        nests=tuple(_nest(group, side, key=keys[group[0].name]) for group in groups),
    )


def _alike(side: Side) -> list[list[LayerRow]]:
    """Layers that move data, those that differ in name alone together."""
    groups: dict[str, list[LayerRow]] = {}
    for row in side.layers:
        if not row.fused_into:
            groups.setdefault(row.model_dump_json(exclude={"name"}), []).append(row)
    return list(groups.values())


def _settings(placed: Placed) -> Iterator[Fact]:
    for name, value in placed.point.settings.items():
        yield name, f"{value:,}" if type(value) is int and value >= 10_000 else str(value)
    if placed.point.area_mm2 is not None:
        yield "area", f"{digits(placed.point.area_mm2)} mm²"


def _nest(group: Sequence[LayerRow], side: Side, *, key: str) -> Nest:
    first, more = group[0], len(group) - 1
    return Nest(
        key=key,
        title=first.name + (f" and {more} alike" if more else ""),
        energy=_microjoules(first) + (" each" if more else ""),
        facts=tuple(facts.of_layer(first, side)),
        lines=nest.lines(first),
    )


def _microjoules(found: LayerRow | Side) -> str:
    return f"{digits(found.energy_pj / PJ_A_MICROJOULE)} µJ"
