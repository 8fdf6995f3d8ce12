"""The page's tables as plain cells: text for people, a value to sort by, and where a cell leads."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import prod

from hwsim.page.runs import Shown, ShownLayer
from hwsim.page.tradeoff import Placed
from hwsim.report import LayerRow, Side
from hwsim.table import BITS_A_KILOBYTE, digits

PJ_A_MICROJOULE = 1e6
NOTHING = "-"


@dataclass(frozen=True)
class Cell:
    """`value` sorts it, None below all others; `note` stands smaller after the text."""

    text: str
    value: float | str | None = None
    link: str = ""
    note: str = ""


@dataclass(frozen=True)
class Column:
    """A heading; `numeric` columns are set flush right and sorted by size."""

    title: str
    numeric: bool = True


@dataclass(frozen=True, kw_only=True)
class Row:
    """Cells, the first of which names the row; `marks` are what filters look at."""

    cells: tuple[Cell, ...]
    key: str = ""
    marks: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table with its caption."""

    key: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


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
        caption="The sides of all runs. Gains are the first side divided by the other: above 1 is "
        "better.",
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
        Cell(point.label, point.label, link=f"#{each.link}" if each.is_side else ""),
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


LAYER_COLUMNS = (
    Column("layer", numeric=False),
    Column("side", numeric=False),
    Column("operation", numeric=False),
    Column("stride"),
    Column("bits"),
    Column("MACs"),
    Column("cycles"),
    Column("bound", numeric=False),
    Column("PE %"),
    Column("energy µJ"),
    Column("share %"),
    Column("DRAM kB"),
    Column("ifmap density"),
    Column("weight density"),
)


def layer_table(shown: Sequence[Shown], layers: Sequence[ShownLayer]) -> Table:
    """A row a layer and side."""
    rows = [
        _layer(layer, row, each)
        for layer in layers
        for row, each in zip(layer.rows, shown, strict=True)
        if row
    ]
    caption = "Layers of all sides, in execution order. Headings sort."
    return Table(key="layer-table", caption=caption, columns=LAYER_COLUMNS, rows=tuple(rows))


def _layer(layer: ShownLayer, row: LayerRow, shown: Shown) -> Row:
    bound = f"fused into {row.fused_into}" if row.fused_into else row.bound
    cells = (
        Cell(layer.name, layer.name, link=f"#{layer.key}" if layer.mapped else ""),
        Cell(shown.title, shown.title),
        Cell(row.op, row.op),
        _stride(row),
        _bits(row),
        Cell(f"{row.macs:,}", row.macs),
        Cell(f"{row.cycles:,}", row.cycles),
        Cell(bound, bound),
        Cell(f"{100 * row.utilization:.1f}", row.utilization),
        Cell(digits(row.energy_pj / PJ_A_MICROJOULE), row.energy_pj),
        _share(row, shown.side),
        Cell(digits(row.dram_bits / BITS_A_KILOBYTE), row.dram_bits),
        Cell(f"{row.ifmap_density:.2f}", row.ifmap_density),
        Cell(f"{row.weight_density:.2f}", row.weight_density) if row.macs else Cell(NOTHING),
    )
    fused = "fused" if row.fused_into else ""
    marks = {"name": row.name, "side": shown.title, "op": row.op, "bound": fused or row.bound}
    return Row(cells=cells, marks=marks | {"fused": fused})


def _stride(row: LayerRow) -> Cell:
    """Of rows and columns; older records do not tell."""
    if row.strides is None:
        return Cell(NOTHING)
    return Cell(" x ".join(map(str, dict.fromkeys(row.strides))), prod(row.strides))


def _bits(row: LayerRow) -> Cell:
    widths = [row.ifmap_bits, row.weight_bits] if row.macs else [row.ifmap_bits]
    return Cell(" / ".join(map(str, dict.fromkeys(widths))), row.ifmap_bits)


def _share(row: LayerRow, side: Side) -> Cell:
    share = 100 * row.energy_pj / side.energy_pj if side.energy_pj else 0.0
    return Cell(f"{share:.1f}", share)


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
