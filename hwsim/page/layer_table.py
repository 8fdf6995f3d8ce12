"""The page's tables of layers: those of all sides, and those of one point of a front."""

from collections.abc import Mapping, Sequence
from math import prod

from hwsim.page.cells import NOTHING, PJ_A_MICROJOULE, Cell, Column, Row, Table
from hwsim.page.runs import Shown, ShownLayer
from hwsim.side import LayerRow, Side
from hwsim.table import BITS_A_KILOBYTE, digits

COLUMNS = (
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


def of_sides(shown: Sequence[Shown], layers: Sequence[ShownLayer]) -> Table:
    """A row a layer and side."""
    rows = [
        _row(layer, row, each)
        for layer in layers
        for row, each in zip(layer.rows, shown, strict=True)
        if row
    ]
    caption = "Layers of all sides, in execution order. Headings sort."
    heads = Column("layer", numeric=False), Column("side", numeric=False)
    return Table(key="layer-table", caption=caption, columns=(*heads, *COLUMNS), rows=tuple(rows))


def _row(layer: ShownLayer, row: LayerRow, shown: Shown) -> Row:
    name = Cell(layer.name, layer.name, link=f"#{layer.key}" if layer.mapped else "")
    fused = "fused" if row.fused_into else ""
    marks = {"name": row.name, "side": shown.title, "op": row.op, "bound": fused or row.bound}
    return Row(
        cells=(name, Cell(shown.title, shown.title), *_figures(row, shown.side)),
        marks=marks | {"fused": fused},
    )


def of_point(side: Side, links: Mapping[str, str], *, key: str) -> Table:
    """A row a layer that moves data; `links`: by its name, the anchor of its mapping."""
    fused = sum(1 for row in side.layers if row.fused_into)
    note = f"; {fused} more ride on the one before" if fused else ""
    return Table(
        key=key,
        caption=f"Layers in execution order{note}",
        columns=(Column("layer", numeric=False), *COLUMNS),
        rows=tuple(
            Row(cells=(Cell(row.name, row.name, link=links[row.name]), *_figures(row, side)))
            for row in side.layers
            if not row.fused_into
        ),
    )


def _figures(row: LayerRow, side: Side) -> tuple[Cell, ...]:
    bound = f"fused into {row.fused_into}" if row.fused_into else row.bound
    return (
        Cell(row.op, row.op),
        _stride(row),
        _bits(row),
        Cell(f"{row.macs:,}", row.macs),
        Cell(f"{row.cycles:,}", row.cycles),
        Cell(bound, bound),
        Cell(f"{100 * row.utilization:.1f}", row.utilization),
        Cell(digits(row.energy_pj / PJ_A_MICROJOULE), row.energy_pj),
        _share(row, side),
        Cell(digits(row.dram_bits / BITS_A_KILOBYTE), row.dram_bits),
        Cell(f"{row.ifmap_density:.2f}", row.ifmap_density),
        Cell(f"{row.weight_density:.2f}", row.weight_density) if row.macs else Cell(NOTHING),
    )


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
