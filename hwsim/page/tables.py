"""The page's tables of sides and of points: all of them, and sides beside each other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from hwsim.page.cells import NOTHING, PJ_A_MICROJOULE, Cell, Column, Row, Table
from hwsim.page.runs import Shown, ShownLayer
from hwsim.page.tradeoff import Placed
from hwsim.side import LayerRow, Side
from hwsim.table import BITS_A_KILOBYTE, digits

GAINS = "The sides of all runs. Gains are the first side divided by the other: above 1 is better."


@dataclass(frozen=True)
class Quantity:
    """What sides and layers are compared by: of a side, of a layer on a side, and in words."""

    key: str
    title: str
    of_side: Callable[[Side], float | None]
    of_layer: Callable[[LayerRow, Side], float]
    gains: bool = True

    def text(self, value: float) -> str:
        """The value as it is shown."""
        return f"{value:.1f}" if self.key == "busy" else digits(value)


QUANTITIES = (
    Quantity(
        "energy",
        "energy µJ",
        lambda side: side.energy_pj / PJ_A_MICROJOULE,
        lambda row, _: row.energy_pj / PJ_A_MICROJOULE,
    ),
    Quantity(
        "latency",
        "latency ms",
        lambda side: side.latency_ms,
        lambda row, side: row.cycles / side.clock_mhz / 1e3,
    ),
    Quantity(
        "dram",
        "DRAM traffic kB",
        lambda side: side.dram_bits / BITS_A_KILOBYTE,
        lambda row, _: row.dram_bits / BITS_A_KILOBYTE,
    ),
    Quantity(
        "busy",
        "PEs' time that is work %",
        lambda side: 100 * side.utilization,
        lambda row, _: 100 * row.utilization,
        gains=False,
    ),
)


def summary(shown: Sequence[Shown]) -> Table:
    """A column a side: what it is, and how it compares with the first one."""
    first = shown[0].side
    rows = [
        _words("network", [each.side.network for each in shown]),
        _words("machine", [each.side.machine for each in shown]),
        _words("batch", [f"{each.side.batch:,}" for each in shown]),
        _words("bits of ifmap / weight", [_widths(each.side) for each in shown]),
        _words("MACs", [f"{each.side.macs:,}" for each in shown]),
        _words("cycles", [f"{each.side.cycles:,}" for each in shown]),
    ]
    rows += [
        _row(
            each.title, [_compared(each, each.of_side(s.side), each.of_side(first)) for s in shown]
        )
        for each in QUANTITIES
    ]
    rows.append(_row("top-1 %", [_accuracy(each.side, first) for each in shown]))
    return Table(
        key="summary-table",
        caption=GAINS if len(shown) > 1 else "The network on the machine.",
        columns=(Column("", numeric=False), *(Column(each.title) for each in shown)),
        rows=tuple(rows),
    )


def _row(name: str, cells: Sequence[Cell]) -> Row:
    return Row(cells=(Cell(name), *cells))


def _words(name: str, texts: Sequence[str]) -> Row:
    return _row(name, [Cell(text) for text in texts])


def _widths(side: Side) -> str:
    sets = (side.ifmap_bits, side.weight_bits)
    return " / ".join(", ".join(map(str, bits)) or NOTHING for bits in sets)


def _compared(quantity: Quantity, value: float | None, first: float | None) -> Cell:
    """A value with its gain over the first."""
    if value is None:
        return Cell(NOTHING)
    gain = ""
    if quantity.gains and value and first is not None and value != first:
        gain = f"{first / value:.2f}x"
    return Cell(quantity.text(value), value, note=gain)


def _accuracy(side: Side, first: Side) -> Cell:
    if side.top1 is None:
        return Cell("not measured")
    known = first.top1 is not None and side is not first
    change = f"{100 * (side.top1 - (first.top1 or 0)):+.2f} points" if known else ""
    return Cell(f"{100 * side.top1:.2f}", side.top1, note=change)


def tradeoffs(points: Sequence[Placed]) -> Table:
    """All points of the charts, with whatever else is known of them."""
    top1 = any(each.point.accuracy is not None for each in points)
    area = any(each.point.area_mm2 is not None for each in points)
    settings = list(dict.fromkeys(name for each in points for name in each.point.settings))
    heads = ["energy µJ", "latency ms", *["top-1 %"] * top1, *["area mm²"] * area]
    return Table(
        key="tradeoff-table",
        caption="Points of the trade-off",
        columns=(
            Column("point", numeric=False),
            Column("run", numeric=False),
            *map(Column, heads),
            Column("beaten by another", numeric=False),
            *(Column(name, numeric=_are_numbers(points, name)) for name in settings),
        ),
        rows=tuple(_tradeoff(each, top1=top1, area=area, settings=settings) for each in points),
    )


def _are_numbers(points: Sequence[Placed], name: str) -> bool:
    """Whether a setting is a number wherever it is known."""
    found = [each.point.settings.get(name) for each in points]
    return all(value is None or type(value) in (int, float) for value in found)


def _tradeoff(each: Placed, *, top1: bool, area: bool, settings: Sequence[str]) -> Row:
    point = each.point
    share = None if point.accuracy is None else 100 * point.accuracy
    cells = [
        Cell(point.label, point.label, link="" if each.link == each.key else f"#{each.link}"),
        Cell(each.run, each.run),
        _number(point.energy_pj / PJ_A_MICROJOULE),
        _number(point.latency_ms),
        *[Cell(NOTHING) if share is None else Cell(f"{share:.2f}", share)] * top1,
        *[_number(point.area_mm2)] * area,
        Cell("no" if each.best else "yes", "no" if each.best else "yes"),
        *(_setting(point.settings.get(name)) for name in settings),
    ]
    return Row(cells=tuple(cells), key=each.key)


def _number(value: float | None) -> Cell:
    return Cell(NOTHING) if value is None else Cell(digits(value), value)


def _setting(value: str | float | None) -> Cell:
    if value is None:
        return Cell(NOTHING)
    return Cell(str(value), value if type(value) in (int, float) else str(value))


def side_by_side(shown: Sequence[Shown], layers: Sequence[ShownLayer]) -> Iterator[Table]:
    """A table a quantity: a row a layer, a column a side, gains over the first side."""
    columns = (Column("layer", numeric=False), *(Column(each.title) for each in shown))
    for quantity in QUANTITIES:
        rows = (
            Row(cells=tuple(_beside(quantity, layer, shown))) for layer in layers if layer.mapped
        )
        yield Table(
            key=f"beside-{quantity.key}",
            caption=f"{quantity.title}, layer by layer",
            columns=columns,
            rows=tuple(rows),
        )


def _beside(quantity: Quantity, layer: ShownLayer, shown: Sequence[Shown]) -> Iterator[Cell]:
    yield Cell(layer.name, layer.name, link=f"#{layer.key}")
    values = [
        None if row is None else quantity.of_layer(row, each.side)
        for row, each in zip(layer.rows, shown, strict=True)
    ]
    yield from (_compared(quantity, value, values[0]) for value in values)
