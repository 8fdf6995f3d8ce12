"""What each parameter of a space does by itself to each objective."""

import numpy as np
from matplotlib.figure import Figure

from hwsim.explore.findings import Findings
from hwsim.explore.output import UNITS
from plots._style import COMPONENT_COLOURS, canvas, plain_logarithms

ROW_IN, FRAME_IN = 0.22, 1.4
COLOURS = list(COMPONENT_COLOURS.values())


def draw_exploration(found: Findings) -> Figure:
    """Bars of the factor between the best and the worst value's geometric mean, by parameter."""
    names = list(dict.fromkeys(effect.parameter for effect in found.effects))
    measures = list(dict.fromkeys(effect.measure for effect in found.effects))
    known = {(effect.parameter, effect.measure): effect for effect in found.effects}
    height = FRAME_IN + ROW_IN * max(len(names) * (len(measures) + 1), 3)
    with canvas(width_in=7.2, height_in=height) as figure:
        axes = figure.add_subplot(xscale="log")
        rows = np.arange(len(names)) * (len(measures) + 1)
        for place, measure in enumerate(measures):
            effects = [known.get((name, measure)) for name in names]
            widths = [effect.factor - 1 if effect else 0.0 for effect in effects]
            label = UNITS[measure][1].rpartition(" ")[0] or measure
            bars = axes.barh(rows + place, widths, left=1, color=COLOURS[place], label=label)
            labels = [f"{100 * each.share:.0f} %" if each else "" for each in effects]
            axes.bar_label(bars, labels, padding=3, fontsize=7)
        axes.set_yticks(rows + (len(measures) - 1) / 2, names)
        axes.invert_yaxis()
        axes.margins(x=0.15)
        plain_logarithms(axes.xaxis)
        axes.set_xlabel("worst over best value (ratio of geometric means); label: % of variance")
        axes.set_title(f"{found.space}: what each parameter does by itself")
        if measures:
            figure.legend(loc="outside lower center", ncols=len(measures))
    return figure
