"""The results of `benchmarks.codesign` as a page: policies side by side, plans exchanged."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from benchmarks._codesign_policies import PROXIES, SIMULATED, UNIFORM

Rows = Mapping[str, Mapping[str, Any]]
POLICIES = (UNIFORM, *PROXIES, SIMULATED)
HEAD = """# Does the simulator matter?

Written by `python -m benchmarks.codesign`; every figure and plan is in policies.json beside it.
One search, the same candidates and trials, the same budgets of accuracy; only what stands for a
layer's energy differs: bits of weights that are not zero, multiply-accumulates by them, these times
the bits of both operands, or the energy that the machine is simulated to draw. *Uniform* is the
best candidate that all layers can share. Nothing is trained. 1,000 test images judge trials of
single layers and 3,000 others whole plans, of which a search measures six; points of accuracy below
are of the 6,000 that are left, against the network as it was, and known to within 0.2 to 0.3 of
them; energies are those of the machine, each layer under its best mapping. A star marks plans that
lost more than the budget on the images that judged: none was found that held it. In another split
other images judge and report.
"""
FOREIGN = """
## Plans exchanged

Energy of the plan that was tuned for the machine of a row, on the machine of a column, as a ratio
to the plan that was tuned for that: above 1, the foreign plan loses.
"""

SHOWN = """
## What it shows

On MobileNetV1, whose layers have little to spare, simulated energy finds the plan of least energy
on all machines and budgets: 35 to 50 % below those by parameters and MACs on Bit Fusion, 20 to 26 %
on Eyeriss and 8 to 15 % where zeros are skipped; 11 to 28 % below one candidate for all layers; and
3 to 10 % below bit operations, which come nearest on Bit Fusion: with two points allowed their plan
draws 9 % more there, and loses 0.88 points on the images that report where the other loses 1.48.
All plans hold their budgets on the images that judged, and on the others within 0.05 points. On
AlexNet simulated energy finds the plan of least energy on all machines and budgets but one: on
zero_skipping at half a point the plan by parameters draws less, and loses 0.4 point more on the
images that did not judge. Elsewhere policies that know no machine draw up to 2.3 times as much, by
parameters and MACs often more than one candidate for all layers does: bits of weights say nothing
of maps, MACs nothing of bits.

What a plan is tuned for matters most where machines differ in what they skip: a plan for
zero_skipping, which prunes, draws 1.1 to 2.0 times what is needed on the others, which gain nothing
by zeros. Eyeriss and Bit Fusion, both bound by words moved, agree more, to within what six measured
plans tell: a ratio below 1 is a plan that the search for the machine would have taken, had it come
upon it. One seed: one choice of images.
"""


def page(known: Rows) -> str:
    """The whole."""
    found = [known[key] for key in sorted(known) if "policy" in known[key]]
    parts = [HEAD]
    for network in dict.fromkeys(row["network"] for row in found):
        of_network = [row for row in found if row["network"] == network]
        parts += [f"\n## {network}\n"]
        parts += _policies(of_network, known[network])
    parts.append(FOREIGN)
    for network in dict.fromkeys(row["network"] for row in found):
        for drop in sorted({row["drop"] for row in found if row["network"] == network}):
            own = {
                row["machine"]: row
                for row in found
                if (row["network"], row["drop"], row["policy"]) == (network, drop, SIMULATED)
            }
            parts += [f"\n{network}, budget {100 * drop:g} points:\n", *_foreign(own)]
    return "\n".join([*parts, SHOWN.rstrip("\n")]) + "\n"


def _policies(found: list[Mapping[str, Any]], before: Mapping[str, Any]) -> Iterator[str]:
    """A row for each machine and policy, a pair of columns for each budget."""
    drops = sorted({row["drop"] for row in found})
    heads = [f"µJ, budget {100 * drop:g} | points" for drop in drops]
    yield f"| machine | policy | {' | '.join(heads)} |"
    yield "|" + " --- |" * (2 + 2 * len(drops))
    for machine in dict.fromkeys(row["machine"] for row in found if row["machine"]):
        for policy in POLICIES:
            rows = [_of(found, policy, machine, drop) for drop in drops]
            yield _line(
                (machine, policy, *(c for row in rows for c in _cells(row, machine, before)))
            )


def _of(
    found: Iterable[Mapping[str, Any]], policy: str, machine: str, drop: float
) -> Mapping[str, Any] | None:
    for row in found:
        if row["policy"] == policy and row["drop"] == drop and row["machine"] in ("", machine):
            return row
    return None


def _cells(
    row: Mapping[str, Any] | None, machine: str, before: Mapping[str, Any]
) -> tuple[str, str]:
    if row is None:
        return "not run", ""
    if not row["plan"]:
        return "none holds", ""
    energy = row["machines"][machine]["energy_pj"] / 1e6
    star = "*" if row["judged_drop"] > row["drop"] * (1 + 1e-6) else ""
    return f"{energy:.1f}{star}", f"{100 * (row['top1'] - before['top1']):+.2f}"


def _foreign(own: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield _line(("tuned for", *own))
    yield "|" + " --- |" * (1 + len(own))
    for tuned, row in own.items():
        ratios = (
            row["machines"][on]["energy_pj"] / own[on]["machines"][on]["energy_pj"] for on in own
        )
        yield _line((tuned, *(f"{ratio:.3f}" for ratio in ratios)))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
