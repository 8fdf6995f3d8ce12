"""The validation table as files: a Markdown page, its plots and JSON."""

import json
from collections.abc import Iterable
from math import floor, log10
from typing import TYPE_CHECKING, cast

from hwsim import gallery, registry
from hwsim.validate import Fitted, Row, Subject, Summary, Target, mean_error

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE, RECORDS = "validation.md", "validation.json"
HOOK = "draw_validation"
ROW_HEADS = ["machine", "network", "layer", "quantity"]
ROW_HEADS += ["published", "simulated", "error %", "fitted", "source"]
SUMMARY_HEADS = ["machine", "network", "quantity", "worst at"]
SUMMARY_HEADS += ["predicted", "fitted", "unverified", "mean |error| %", "worst error %"]
FITTED_HEADS = ["machine", "constant", "value", "fitted on", "checked on"]
TARGET_HEADS = ["machine", "network", "quantity", "target", "found", "met"]
UNFOLDED_ROWS, FOLDED_ROWS, WORST_ROWS = 20, 250, 8
HEAD = """# Validation

What hwsim says beside what was published, as `hwsim validate` found it. An error is
(simulated - published) / published. A *fitted* number is one that a parameter behind the
simulation was chosen by looking at; the others are predicted. An *unverified* publication could
not be checked: it is shown, and counts in no mean and towards no target. Means and worst errors are
those of the predicted numbers, or of the fitted ones where all are; targets count both.
"""


def digits(value: float) -> str:
    """Whole numbers whole, others to four significant digits: 18,450,432, 20.94, 0.05.

    What lies beyond the twelfth digit, where machines may differ, changes nothing.
    """
    steady = float(f"{value:.12g}")
    if steady.is_integer():
        return f"{steady:,.0f}"
    shown = f"{steady:,.{max(3 - floor(log10(abs(steady))), 0)}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def percent(error: float) -> str:
    """A signed relative error in percent: +3.21, -32.1, +321; 0 where exact, 0.00 where nearly."""
    steady = float(f"{100 * error:.6g}")
    if abs(steady) < 1e-6:
        return "0"
    decimals = 2 if abs(steady) < 10 else 1 if abs(steady) < 100 else 0
    shown = f"{steady:+.{decimals}f}"
    return shown if shown.strip("+-") != "0.00" else "0.00"


def percent_bound(share: float) -> str:
    """An unsigned share in percent: 2 %."""
    return f"{100 * share:.3g} %"


def magnitude(error: float) -> str:
    """The magnitude of an error in percent, as `percent` rounds it."""
    return percent(abs(error)).removeprefix("+")


def aim(target: Target) -> str:
    """A target in words: mean within 5 %, each within 10 % (1 exception)."""
    parts = [] if target.mean is None else [f"mean within {percent_bound(target.mean)}"]
    if target.each is not None:
        parts.append(f"each within {percent_bound(target.each)}" if target.each else "equal")
    if target.exceptions:
        parts.append(f"{target.exceptions} exception{'s' * (target.exceptions > 1)}")
    return ", ".join(parts)


def reached(target: Target, rows: Iterable[Row]) -> str:
    """What a target's rows reach: mean 2.1 %, 17 of 18, worst +9.3 %."""
    found = target.rows(rows)
    if not found:
        return "no rows"
    parts = [] if target.mean is None else [f"mean {magnitude(mean_error(found))} %"]
    if target.each is not None:
        parts.append(f"{target.within(found)} of {len(found)}")
    worst = max(found, key=lambda row: row.distance)
    return ", ".join([*parts, f"worst {percent(worst.error)} %"])


def to_json(rows: Iterable[Row]) -> str:
    """The rows as a JSON list, a row a line."""
    lines = (json.dumps(row.record(), ensure_ascii=False) for row in rows)
    return "[\n" + ",\n".join(lines) + "\n]\n"


def page(subjects: Iterable[Subject]) -> str:
    """The Markdown page: targets, means, and a section for each subject."""
    found = tuple(subjects)
    parts = [HEAD, *_targets(found), *_fitted(found), *_overview(found)]
    return "\n".join([*parts, *(line for subject in found for line in _section(subject))])


def _targets(subjects: Iterable[Subject]) -> list[str]:
    lines = [target_cells(target, found) for found in subjects for target in found.targets]
    return ["## Targets", "", *_table(TARGET_HEADS, lines, left=5), ""] if lines else []


def _fitted(subjects: Iterable[Subject]) -> list[str]:
    lines = [fitted_cells(constant, found) for found in subjects for constant in found.fitted]
    return ["## Fitted constants", "", *_table(FITTED_HEADS, lines, left=5), ""] if lines else []


def fitted_cells(constant: Fitted, subject: Subject) -> list[str]:
    """A fitted constant's cells below `FITTED_HEADS`."""
    where = (constant.fitted_on, constant.checked_on)
    return [subject.name, constant.constant, constant.value, *where]


def target_cells(target: Target, subject: Subject) -> list[str]:
    """A target's cells below `TARGET_HEADS`."""
    return [
        target.machine or subject.name,
        target.network or "all",
        target.quantity,
        aim(target),
        reached(target, subject.rows),
        "yes" if target.met(subject.rows) else "no",
    ]


def _overview(subjects: Iterable[Subject]) -> list[str]:
    lines = [summary_cells(summary) for subject in subjects for summary in subject.summaries]
    return ["## Errors", "", *_table(SUMMARY_HEADS, lines, left=4), ""]


def summary_cells(summary: Summary) -> list[str]:
    """A summary's cells below `SUMMARY_HEADS`; errors in percent."""
    worst = summary.worst
    of_family = worst is not None and worst.machine != summary.machine
    return [
        summary.machine,
        summary.network,
        summary.quantity,
        f"{worst.machine} " * of_family + worst.layer if worst and worst.distance else "",
        *(str(len(rows) or "") for rows in (summary.predicted, summary.fitted, summary.unverified)),
        magnitude(summary.mean_error) if worst else "",
        percent(worst.error) if worst else "",
    ]


def _section(subject: Subject) -> list[str]:
    lines = [f"## {subject.name}", "", subject.text, ""]
    for machine in subject.machines:
        for plot in gallery.plots(HOOK):
            lines += [f"![{machine}: published and simulated]({plot_path(plot, machine)})", ""]
    sources = list(dict.fromkeys(row.source for row in subject.rows))
    named = (f"{place}. {' '.join(source.split())}" for place, source in enumerate(sources, 1))
    listed = ["Sources:", "", *named]
    return [*lines, *_rows(subject.rows, sources), *listed, ""]


def _rows(rows: tuple[Row, ...], sources: list[str]) -> list[str]:
    """A short table; a long one folded below the rows that err most; of the longest those alone."""
    if len(rows) <= UNFOLDED_ROWS:
        return [*_row_table(rows, sources), ""]
    wrong = [row for row in rows if row.verified and row.distance]
    worst = sorted(wrong, key=lambda row: -row.distance)[:WORST_ROWS]
    shown = ["The rows that err most:", "", *_row_table(worst, sources), ""] if worst else []
    if len(rows) > FOLDED_ROWS:
        return [*shown, f"All {len(rows):,} rows are in [{RECORDS}]({RECORDS}).", ""]
    fold = f"<details><summary>All {len(rows)} rows</summary>"
    return [*shown, fold, "", *_row_table(rows, sources), "", "</details>", ""]


def _row_table(rows: Iterable[Row], sources: list[str]) -> list[str]:
    return _table(ROW_HEADS, (row_cells(row, sources) for row in rows), left=4)


def row_cells(row: Row, sources: list[str]) -> list[str]:
    """A row's cells below `ROW_HEADS`; its source is the place in `sources`."""
    return [
        row.machine,
        row.network,
        row.layer,
        row.quantity,
        digits(row.published),
        digits(row.simulated),
        percent(row.error),
        ("fitted" if row.fitted else "") if row.verified else "unverified",
        f"[{sources.index(row.source) + 1}]",
    ]


def _table(heads: list[str], lines: Iterable[list[str]], *, left: int) -> list[str]:
    """A Markdown table whose first `left` columns are aligned left, the others right."""
    rules = [":---" if place < left else "---:" for place in range(len(heads))]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in [heads, rules, *lines]]
    return [f"| {' | '.join(line)} |" for line in cells]


def contents(subjects: Iterable[Subject]) -> dict[str, bytes]:
    """Every file by its path below the results' folder: the page, the records, the plots."""
    found = tuple(subjects)
    rows = [row for subject in found for row in subject.rows]
    texts = {PAGE: page(found), RECORDS: to_json(rows)}
    return {name: text.encode() for name, text in texts.items()} | _plots(found)


def plot_path(plot: str, machine: str) -> str:
    """Where a plot of a machine lies, relative to the page."""
    return f"{plot}/{machine}.svg"


def _plots(subjects: Iterable[Subject]) -> dict[str, bytes]:
    found = {}
    for plot in gallery.plots(HOOK):
        draw = registry.hook(registry.module("plot", plot), HOOK)
        for machine, rows in ((m, r) for s in subjects for m, r in s.machines.items()):
            figure = cast("Figure", draw(rows, title=machine))
            found[plot_path(plot, machine)] = gallery.image(figure, "svg")
    return found
