"""Which plots draw what: each file in `plots/` offers one hook, named for what it takes."""

import ast
from collections.abc import Iterable
from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING, cast

from hwsim import registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HOOKS = {
    "draw": "a report: both sides of a scenario",
    "draw_validation": "the rows of one machine, published beside simulated",
    "draw_trace": "a trace of the event-driven engine",
    "draw_codesign": "the report of a co-design search",
    "draw_exploration": "what is known of a space of machines",
    "draw_comparison": "values of a parameter set against each other",
    "draw_space": "mappings of one layer, sampled and found",
}


def plots(hook: str) -> list[str]:
    """The plots that offer a hook, sorted; their sources are read, nothing is imported."""
    return [name for name in registry.names("plot") if hook in _functions(name)]


def _functions(name: str) -> set[str]:
    package, suffix = registry.PACKAGES["plot"]
    source = files(package).joinpath(name + suffix).read_text(encoding="utf-8")
    return {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}


def images(names: Iterable[str], hook: str, subject: object) -> dict[str, bytes]:
    """What the named plots draw of a subject by their hook: a PNG and an SVG each, by file name."""
    found: dict[str, bytes] = {}
    for name in names:
        figure = cast("Figure", registry.hook(registry.module("plot", name), hook)(subject))
        found |= {f"{name}.{suffix}": image(figure, suffix) for suffix in ("png", "svg")}
    return found


def image(figure: "Figure", suffix: str) -> bytes:
    """The figure as a `png` or `svg` file in the plots' own style, the same bytes each time."""
    style = import_module(f"{registry.PACKAGES['plot'][0]}._style")
    return cast(bytes, style.image(figure, suffix))
