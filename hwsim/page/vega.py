"""Charts in Vega-Lite, turned into SVG while the page is written.

vl-convert runs Vega itself and needs neither a browser nor a network. The page then holds plain SVG
of a few kB instead of a plotting library of a megabyte; its marks carry ARIA labels, its links are
links, and its colours are the style sheet's, so that they follow light and dark.
"""

import re
from dataclasses import dataclass
from typing import Any

import vl_convert
from markupsafe import Markup

VEGA_LITE = "6.4"
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
INK, SOFT, RULE, PAPER = "var(--ink)", "var(--soft)", "var(--rule)", "var(--paper)"
SIDES = 8  # colours and shapes of the style sheet; more sides begin again, and differ by shape
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right")
CONFIG = {
    "font": "Arial, Helvetica, 'Liberation Sans', sans-serif",
    "background": None,
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "tickColor": RULE,
        "gridColor": RULE,
        "domainColor": SOFT,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": 320,
    },
    "legend": {
        "labelColor": INK,
        "titleColor": INK,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "labelLimit": 360,
        "orient": "bottom",
        "columnPadding": 24,
        "layout": {"bottom": {"direction": "vertical", "margin": 10}},
    },
    "text": {"fill": INK, "fontSize": 12},
}
FOREIGN_LINK = re.compile(r'xlink:href="[^"#]*#')  # what Vega makes of a link within the page


@dataclass(frozen=True, kw_only=True)
class Chart:
    """An SVG with its text alternative, and whether it holds links."""

    key: str
    title: str
    said: str
    svg: Markup
    linked: bool = False


def chart(spec: dict[str, Any], *, key: str, title: str, said: str, linked: bool = False) -> Chart:
    """A Vega-Lite specification as a chart; `said` tells what it shows."""
    whole = {"$schema": SCHEMA, "config": CONFIG} | spec
    text = vl_convert.vegalite_to_svg(whole, vl_version=VEGA_LITE)
    role = "group" if linked else "img"
    named = f'<svg role="{role}" aria-labelledby="{key}-title" aria-describedby="{key}-said" '
    text = FOREIGN_LINK.sub('href="#', text.replace("<svg ", named, 1))
    return Chart(key=key, title=title, said=said, svg=Markup(text), linked=linked)


def colours(count: int) -> list[str]:
    """The style sheet's colours of so many sides."""
    return [f"var(--side-{place % SIDES})" for place in range(count)]


def shapes(count: int) -> list[str]:
    """A shape for each of so many sides."""
    return [SHAPES[place % len(SHAPES)] for place in range(count)]
