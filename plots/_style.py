"""What every plot shares: size, type, colours and the names of things."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

from matplotlib import style
from matplotlib.axis import Axis
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from hwsim.cost import COMPONENTS
from hwsim.report import Report
from hwsim.side import Side

# Okabe and Ito, "Color Universal Design" (2008): told apart under every common colour blindness;
# the clock's indigo is from Tol's muted scheme ("Colour Schemes", SRON/EPS/TN/09-002, 2021).
BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "#7F7F7F"
COMPONENT_COLOURS = dict(
    zip(
        COMPONENTS,
        ("#D55E00", "#E69F00", "#CC79A7", "#009E73", "#0072B2", "#332288", "#F0E442"),
        strict=True,
    )
)

ENERGY_UNITS_PJ = {"J": 1e12, "mJ": 1e9, "µJ": 1e6, "nJ": 1e3, "pJ": 1.0}

RC: dict[str, object] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "savefig.dpi": 160,
    "svg.fonttype": "path",
    "svg.hashsalt": "hwsim",
}


# Neither dates nor versions of libraries: the same report gives the same bytes.
METADATA: dict[str, dict[str, str | None]] = {
    "png": {"Software": None},
    "svg": {"Creator": None, "Date": None},
}


@contextmanager
def canvas(*, width_in: float, height_in: float) -> Iterator[Figure]:
    """An empty figure within the shared style, untouched by a user's matplotlibrc."""
    with style.context(["default", RC]):
        yield Figure(figsize=(width_in, height_in), layout="constrained")


def image(figure: Figure, suffix: str) -> bytes:
    """The figure as a `png` or `svg` file, the same bytes each time."""
    found = BytesIO()
    with style.context(["default", RC]):  # ticks take their size when they are first drawn
        figure.savefig(found, format=suffix, metadata=METADATA[suffix])
    return found.getvalue()


def plain_logarithms(*axes: Axis) -> None:
    """Logarithmic axes with numbers as they are, in between too where they span little."""
    for axis in axes:
        axis.set_major_formatter(LogFormatter(labelOnlyBase=False))
        axis.set_minor_formatter(LogFormatter(labelOnlyBase=False, minor_thresholds=(1.5, 0.6)))
        axis.set_tick_params(which="minor", labelsize=7)


def pale(colour: str) -> tuple[float, float, float]:
    """A colour half way to white: the baseline's shade of it."""
    red, green, blue = to_rgb(colour)
    return (1 + red) / 2, (1 + green) / 2, (1 + blue) / 2


def components(report: Report) -> list[str]:
    """The components that either side spends energy on, in their fixed order."""
    energies = [side.energy_by_component_pj for _, side in report.sides]
    return [name for name in COMPONENTS if any(energy[name] for energy in energies)]


def energy_unit(largest_pj: float) -> tuple[str, float]:
    """The largest unit, and its picojoules, in which the largest energy is 1 or more."""
    fitting = (unit for unit in ENERGY_UNITS_PJ.items() if unit[1] <= largest_pj)
    return next(fitting, ("pJ", 1.0))


def setting(side: Side) -> str:
    """A side's label and machine."""
    return f"{side.label} on {side.machine}"
