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

FOUND = """
## What it shows

Simulated energy finds the plan of least energy of all policies, on both networks, all machines, all
budgets, and with other images that judge. So much more the others draw, over the budgets:
"""
SHOWN = """
Parameters and MACs do worse than one candidate for all layers where zeros are not skipped: bits of
weights say nothing of maps, MACs nothing of bits. Bit operations come nearest, but on AlexNet where
zeros are skipped: they weigh a word of half the bits like one that is zero half the time, and that
machine does not. Parameters come near there: most of AlexNet's energy is that of its weights.

All plans hold their budgets on the images that judged. On those that report AlexNet's by MACs at
one point loses 0.45 more than that, those by simulated energy up to 0.35 (MobileNetV1's of split 1
where zeros are skipped, and 0.2 AlexNet's on Bit Fusion at one point): a plan is the best of six
measured, and the best of several is lucky. Where two policies are within a few per cent, read the
points beside them: with two allowed, on MobileNetV1 and Bit Fusion, bit operations draw 10 % more
and lose 0.88 where simulated energy loses 1.48.

What a plan is tuned for matters most where machines differ in what they skip: a plan for
zero_skipping, which prunes, draws 1.1 to 1.9 times what is needed on the others, which gain nothing
by zeros. Eyeriss and Bit Fusion, both bound by words moved, agree more on MobileNetV1, to within
what six measured plans tell; on AlexNet a plan for Eyeriss draws 14 to 21 % more than is needed on
Bit Fusion. A ratio below 1 is a plan that the search for the machine would have taken, had it come
upon it, and so is AlexNet's plan for Eyeriss at half a point, which draws less than that at one.
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
    return "\n".join([*parts, FOUND, *_excesses(found), SHOWN.rstrip("\n")]) + "\n"


def _excesses(found: list[Mapping[str, Any]]) -> Iterator[str]:
    """By how much other policies' plans draw more than that by simulated energy."""
    others = [policy for policy in POLICIES if policy != SIMULATED]
    yield _line(("network", "machine", *others))
    yield "|" + " --- |" * (2 + len(others))
    for network in dict.fromkeys(row["network"] for row in found):
        rows = [row for row in found if row["network"] == network]
        drops = sorted({row["drop"] for row in rows})
        for machine in dict.fromkeys(row["machine"] for row in rows if row["machine"]):
            cells = (_excess(rows, policy, machine, drops) for policy in others)
            yield _line((network, machine, *cells))


def _excess(
    rows: list[Mapping[str, Any]], policy: str, machine: str, drops: Iterable[float]
) -> str:
    """The least and the most over the budgets, in per cent."""
    ratios = []
    for drop in drops:
        theirs, ours = (_of(rows, each, machine, drop) for each in (policy, SIMULATED))
        if theirs and ours and theirs["plan"]:
            energy, least = (one["machines"][machine]["energy_pj"] for one in (theirs, ours))
            ratios.append(f"{100 * (energy / least - 1):.0f}")
    ratios.sort(key=float)
    return f"{' to '.join(dict.fromkeys((ratios[0], ratios[-1])))} %" if ratios else "not run"


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
