"""A co-design report as a table for the terminal: each layer's choice and why, totals, attempts."""

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from hwsim.codesign_report import CodesignReport, LayerChoice, Totals
from hwsim.ruled import ruled
from hwsim.table import AtLeast, digits

BITS_A_KILOBYTE = 8e3
NO_NUMBER = "-"
PAID_COLUMNS = 24  # of words that may be wrapped


def show(report: CodesignReport, console: Console) -> None:
    """Prints the table, no number cut, however narrow the console says it is."""
    console.print(table(report), crop=False)


def table(report: CodesignReport) -> RenderableType:
    """Layers with weights one by one, the others as one line; totals; what was measured."""
    layers = _layers(report)
    parts: list[RenderableType] = [layers, "", _totals(report), "", Text(_verdict(report))]
    if report.comparisons:
        parts.append(Text(_compared(report)))
    if report.gap:
        parts.append(Text(_stopped(report)))
    if report.evolution:
        parts.append(Text(_checked(report)))
    return AtLeast(Group(*parts), widest=layers)


def _layers(report: CodesignReport) -> Table:
    found = _table("layer", title=f"{report.network} on {report.machine}: what each layer gets")
    for head in ("choice", "runner-up"):
        found.add_column(head, no_wrap=True)
    for head in ("energy\nµJ", "was", "cycles", "was", "drop\npoints"):
        found.add_column(head, justify="right", no_wrap=True)
    found.add_column("what paid", min_width=PAID_COLUMNS)
    for layer in report.compressed_layers:
        found.add_row(*_row(layer))
    rest = [layer for layer in report.layers if not layer.choice]
    if rest:
        was = [layer.baseline_energy_pj for layer in rest]
        before = _micro(sum(pj or 0.0 for pj in was) if None not in was else None)
        energy = _micro(sum(layer.energy_pj for layer in rest))
        found.add_section()
        found.add_row(f"{len(rest)} without weights", "", "", energy, before)
    return found


def _row(layer: LayerChoice) -> tuple[str, ...]:
    worse = layer.runner_up_excess
    runner_up = f"{layer.runner_up} (+{100 * worse:.2g} %)" if worse is not None else NO_NUMBER
    return (
        layer.name,
        layer.choice,
        runner_up,
        _micro(layer.energy_pj),
        _micro(layer.baseline_energy_pj),
        _count(layer.cycles),
        _count(layer.baseline_cycles),
        f"{100 * layer.accuracy_drop:.2f}",
        layer.paid,
    )


def _totals(report: CodesignReport) -> Table:
    found = _table("")
    for head in ("as it is", "the plan", "gain"):
        found.add_column(head, justify="right", no_wrap=True)
    for name, before, after in _quantities(report.baseline, report.found):
        gain = f"{before / after:.2f}x" if before and after else NO_NUMBER
        shown = (NO_NUMBER if value is None else digits(value) for value in (before, after))
        found.add_row(name, *shown, gain, style="bold")
    tops = [report.baseline.accuracy, report.found.accuracy]
    known = [top for top in tops if top is not None]
    change = f"{100 * (known[1] - known[0]):+.2f} points" if len(known) == 2 else NO_NUMBER
    if report.found.accuracy_error:
        change = change.replace(" points", f" ± {100 * report.found.accuracy_error:.2f} points")
    cells = (NO_NUMBER if top is None else f"{100 * top:.2f}" for top in tops)
    found.add_row("accuracy %", *cells, change, style="bold")
    return found


def _quantities(
    before: Totals, after: Totals
) -> tuple[tuple[str, float | None, float | None], ...]:
    energies = [None if t.energy_pj is None else t.energy_pj / 1e6 for t in (before, after)]
    sizes = [totals.size_bits / BITS_A_KILOBYTE for totals in (before, after)]
    return (
        ("energy µJ", energies[0], energies[1]),
        ("latency ms", before.latency_ms, after.latency_ms),
        ("weights kB", sizes[0], sizes[1]),
    )


def _verdict(report: CodesignReport) -> str:
    tried = len(report.attempts)
    plans = f"{tried} plan{'s' if tried > 1 else ''} measured"
    return f"{report.text[0].upper()}{report.text[1:]} ({plans}, {len(report.dropped)} dropped)."


def _compared(report: CodesignReport) -> str:
    parts = (
        f"{one.sensitivity} "
        + (NO_NUMBER if one.correlation is None else f"{one.correlation:.2f}")
        + f" over {one.trials} trials"
        for one in report.comparisons
    )
    return f"Rank correlation with measured drops: {', '.join(parts)}."


def _stopped(report: CodesignReport) -> str:
    return f"An integer program was stopped: it may miss its optimum by {100 * report.gap:.2g} %."


def _checked(report: CodesignReport) -> str:
    assert report.evolution is not None
    best, optimum = report.evolution.best, report.evolution.optimum
    count = f"{report.evolution.evaluations:,} evaluations"
    if best is None:
        return f"Evolution found no plan within the budget in {count}."
    excess = 100 * (best / optimum - 1) if optimum else 0.0
    return f"Evolution came to within {excess:.2f} % of the program's optimum in {count}."


def _micro(energy_pj: float | None) -> str:
    return NO_NUMBER if energy_pj is None else digits(energy_pj / 1e6)


def _count(cycles: int | None) -> str:
    return NO_NUMBER if cycles is None else f"{cycles:,}"


def _table(head: str, *, title: str | None = None) -> Table:
    found = ruled(title)
    found.add_column(head, no_wrap=True)
    return found
