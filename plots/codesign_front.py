"""The front of a co-design search: energy or latency against loss of accuracy, predicted and
measured, with the network as it is and the plan chosen."""

from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hwsim.codesign_report import CodesignReport, Point, Totals
from plots._style import BLUE, GREY, VERMILLION, canvas, energy_unit

NEAR = 3.0  # budgets of accuracy that are shown
Places = tuple[list[float], list[float]]


def draw_codesign(report: CodesignReport) -> Figure:
    """Predicted points as a line of steps; measured plans as squares, hollow where a budget broke,
    with the standard error of their loss."""
    scale = _scale(report)
    with canvas(width_in=6.4, height_in=4.6) as figure:
        axes = figure.add_subplot()
        x, y = _predicted(report, report.front, scale[1])
        axes.step(x, y, "o-", where="post", color=BLUE, lw=1, markersize=3.5, label="predicted")
        for met, fill, label in ((True, BLUE, "measured"), (False, "none", "over its budget")):
            plans = [one for one in report.attempts if one.met is met]
            x, y = _measured(report, (one.measured for one in plans if one.measured), scale[1])
            if x:
                axes.plot(x, y, "s", mfc=fill, mec=BLUE, markersize=6, ls="none", label=label)
                errors = [_error(one.measured) for one in plans if one.measured]
                if len(errors) == len(x) and any(errors):
                    axes.errorbar(x, y, xerr=errors, ecolor=BLUE, elinewidth=0.8, ls="none")
        _ends(axes, report, scale[1])
        if "drop" in report.bounds:
            most = 100 * report.bounds["drop"]
            axes.axvline(most, color="black", lw=1, ls=":", label=f"budget: {most:g} points")
            axes.set_xlim(*_range(report, most))
        axes.set_ylim(bottom=0)
        axes.grid()
        axes.set_xlabel("loss of accuracy (points)")
        axes.set_ylabel(f"{'latency' if _by_time(report) else 'energy'} of one batch ({scale[0]})")
        axes.set_title(f"{report.network} on {report.machine}")
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def _by_time(report: CodesignReport) -> bool:
    return report.objective == "latency"


def _scale(report: CodesignReport) -> tuple[str, float]:
    """The unit of the vertical axis, and what it is in pJ or ms."""
    if _by_time(report):
        return "ms", 1.0
    known = [report.baseline.energy_pj, report.found.energy_pj]
    return energy_unit(max((pj for pj in known if pj is not None), default=1.0))


def _predicted(report: CodesignReport, points: Iterable[Point], unit: float) -> Places:
    listed = list(points)
    costs = [p.predicted_latency_ms if _by_time(report) else p.predicted_energy_pj for p in listed]
    return [100 * point.predicted_drop for point in listed], [cost / unit for cost in costs]


def _measured(report: CodesignReport, totals: Iterable[Totals], unit: float) -> Places:
    x, y, base = [], [], report.baseline.accuracy
    for one in totals:
        cost = one.latency_ms if _by_time(report) else one.energy_pj
        if cost is not None and one.accuracy is not None and base is not None:
            x.append(100 * (base - one.accuracy))
            y.append(cost / unit)
    return x, y


def _error(totals: Totals) -> float:
    """In points; none where it is not known."""
    return 100 * (totals.accuracy_error or 0.0)


def _range(report: CodesignReport, most: float) -> tuple[float, float]:
    """About the budget and all that was measured, and the front, unless it goes on far beyond."""
    drops, _ = _measured(report, (p.measured for p in report.attempts if p.measured), 1.0)
    front = max((100 * point.predicted_drop for point in report.front), default=0.0)
    least, largest = min(0.0, *drops), max(most, *drops, min(NEAR * most, front))
    margin = 0.06 * (largest - least) or 1.0
    return least - margin, largest + margin


def _ends(axes: Axes, report: CodesignReport, unit: float) -> None:
    """The network as it is, and the plan."""
    x, y = _measured(report, [report.baseline], unit)
    if x:
        axes.plot(x, y, "D", color=GREY, markersize=7, ls="none", label="as it is")
    x, y = _measured(report, [report.found], unit)
    axes.plot(x, y, "*", color=VERMILLION, mec="white", markersize=15, ls="none", label="the plan")
