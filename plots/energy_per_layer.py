"""Energy of each layer, stacked by component: the baseline's bar above the compressed one's."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from hwsim.report import Report
from hwsim.side import LayerRow
from plots._style import COMPONENT_COLOURS, canvas, components, energy_unit, pale, setting

BAR = 0.38
ROW_IN = 0.2


def draw(report: Report) -> Figure:
    """Horizontal bars in execution order; layers without energy on both sides are left out."""
    pairs = [pair for pair in report.folded_pairs if any(row and row.energy_pj for row in pair)]
    unit, unit_pj = energy_unit(max((row.energy_pj for p in pairs for row in p if row), default=0))
    with canvas(width_in=7.5, height_in=1.6 + ROW_IN * max(len(pairs), 2)) as figure:
        axes = figure.add_subplot()
        _bars(axes, report, [pair[0] for pair in pairs], unit_pj, before=True)
        _bars(axes, report, [pair[1] for pair in pairs], unit_pj, before=False)
        names = [next(row.name for row in pair if row) for pair in pairs]
        axes.set_yticks(range(len(pairs)), names, fontsize=7.5)
        axes.set_xlim(left=0)
        axes.set_ylim(len(pairs) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        axes.set_xlabel(f"energy of one batch ({unit})")
        axes.set_ylabel("layer")
        axes.set_title(f"Energy per layer of {report.baseline.network}")
        keys = _keys(report)
        figure.legend(handles=keys, loc="outside lower center", ncols=len(keys) // 2)
    return figure


def _bars(
    axes: Axes, report: Report, rows: list[LayerRow | None], unit_pj: float, *, before: bool
) -> None:
    places = [place + (-BAR / 2 if before else BAR / 2) for place in range(len(rows))]
    left = [0.0] * len(rows)
    for name in components(report):
        widths = [row.energy_by_component_pj[name] / unit_pj if row else 0.0 for row in rows]
        colour = COMPONENT_COLOURS[name]
        axes.barh(places, widths, BAR, left=left, color=pale(colour) if before else colour)
        left = [start + width for start, width in zip(left, widths, strict=True)]


def _keys(report: Report) -> list[Patch]:
    """The components' colours, and what the pale shade stands for."""
    keys = [Patch(color=COMPONENT_COLOURS[name], label=name) for name in components(report)]
    blank = [Patch(color="none", label="")] * (len(keys) % 2)  # sides get a column of their own
    upper = Patch(color="#BBBBBB", label=f"upper bar, pale: {setting(report.baseline)}")
    lower = Patch(color="#555555", label=f"lower bar: {setting(report.compressed)}")
    return [*keys, *blank, upper, lower]
