"""What each layer gets along the front of a co-design search, a column for each plan."""

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hwsim.codesign_report import CodesignReport, Point
from hwsim.table import digits
from plots._style import VERMILLION, canvas, energy_unit

ROW_IN, LETTER_IN, LEAST_COLUMN_IN = 0.2, 0.062, 0.55
DARK = 0.5  # luminance below which letters are white


def draw_codesign(report: CodesignReport) -> Figure:
    """Candidates by colour and name, from the most accurate plan to the cheapest; the plan that was
    chosen comes first, in a frame."""
    plans = [report.predicted, *report.front]
    layers = [layer.name for layer in report.compressed_layers]
    letters = max(len(name) for plan in plans for name in plan.choices.values())
    column_in = max(LEAST_COLUMN_IN, LETTER_IN * letters + 0.1)
    width, height = 1.6 + column_in * len(plans), 1.5 + ROW_IN * max(len(layers), 4)
    with canvas(width_in=max(width, 5.0), height_in=height) as figure:
        axes = figure.add_subplot()
        colours = _colours(report)
        for column, plan in enumerate(plans):
            for row, layer in enumerate(layers):
                _cell(axes, column, row, plan.choices[layer], colours[plan.choices[layer]])
        frame = Rectangle((-0.5, -0.5), 1, len(layers), fill=False, ec=VERMILLION, lw=2)
        axes.add_patch(frame)
        axes.set_xlim(-0.55, len(plans) - 0.45)
        axes.set_ylim(len(layers) - 0.45, -0.55)
        axes.set_xticks(range(len(plans)), [_head(report, plan) for plan in plans], fontsize=7.5)
        axes.set_yticks(range(len(layers)), layers, fontsize=7.5)
        axes.tick_params(length=0)
        axes.set_xlabel(f"plan: loss of accuracy (points), energy ({_unit(report)[0]})")
        axes.set_ylabel("layer")
        axes.set_title(f"What layers of {report.network} get on {report.machine}; framed: the plan")
    return figure


def _colours(report: CodesignReport) -> dict[str, tuple[float, float, float]]:
    """A colour for each candidate, in the order in which they were given."""
    shades = colormaps["viridis"].resampled(max(len(report.candidates), 2))
    return {name: shades(place)[:3] for place, name in enumerate(report.candidates)}


def _cell(axes: Axes, column: int, row: int, name: str, colour: tuple[float, float, float]) -> None:
    red, green, blue = colour
    dark = 0.2126 * red + 0.7152 * green + 0.0722 * blue < DARK
    axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, color=colour, ec="white", lw=0.5))
    ink = "white" if dark else "black"
    axes.text(column, row, name, ha="center", va="center", fontsize=6.5, color=ink)


def _unit(report: CodesignReport) -> tuple[str, float]:
    return energy_unit(max(plan.predicted_energy_pj for plan in (report.predicted, *report.front)))


def _head(report: CodesignReport, plan: Point) -> str:
    energy = plan.predicted_energy_pj / _unit(report)[1]
    return f"{100 * plan.predicted_drop:.2f}\n{digits(energy)}"
