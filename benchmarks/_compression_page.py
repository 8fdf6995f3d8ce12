"""The tables of `benchmarks.compression` in docs/, and what `hwsim methods` shows of them."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

PAGE, MEASURED = Path("docs/compression.md"), Path("compressors/measured.json")
PREFACE = Path(__file__).with_name("_compression_preface.md")
MACHINES = ("eyeriss_v1", "zero_skipping")
Row = dict[str, Any]
Rows = dict[str, list[Row]]  # by method, one a seed

COLUMNS = (
    "method",
    "seeds",
    "before",
    "after",
    "tuned",
    "bits a weight",
    "MACs",
    "eyeriss_v1 energy",
    "eyeriss_v1 cycles",
    "zero_skipping energy",
    "zero_skipping cycles",
    "seconds",
)


def draw(rows: Iterable[Row], order: Sequence[str], methods: Sequence[str]) -> None:
    """Writes the page and the summary, of networks in this order and all these methods."""
    networks = grouped(rows)
    MEASURED.write_text(json.dumps(summary(networks), indent=1, sort_keys=True) + "\n")
    parts = [section(name, networks[name], methods) for name in order if name in networks]
    PAGE.write_text("\n".join([PREFACE.read_text(), *parts]))


def grouped(rows: Iterable[Row]) -> dict[str, Rows]:
    """The rows of every network by method."""
    found: dict[str, Rows] = {}
    for row in sorted(rows, key=lambda row: (row["method"], row["seed"])):
        found.setdefault(row["network"], {}).setdefault(row["method"], []).append(row)
    return found


def measured(rows: list[Row]) -> list[Row]:
    """Those that hold a result."""
    return [row for row in rows if "refused" not in row]


def summary(networks: dict[str, Rows]) -> dict[str, Any]:
    """Of each method, by network: accuracy in per cent, bits a weight, and ratios to before."""
    found: dict[str, Any] = {}
    for network, methods in networks.items():
        plain = methods["none"][0]
        for method, rows in methods.items():
            known = measured(rows)
            told = numbers(known, plain) if known else {"refused": rows[0]["refused"]}
            found.setdefault(method, {})[network] = told
    return found


def numbers(rows: list[Row], plain: Row) -> dict[str, Any]:
    """What the seeds gave on average, and the spread of the accuracy."""
    found: dict[str, Any] = {
        "top1_before": average(rows, "before"),
        "top1_after": average(rows, "after"),
        "top1_after_spread": spread(rows, "after"),
        "top1_tuned": average(rows, "tuned"),
        "bits_a_weight": mean(row["bits"] / row["weights"] for row in rows),
        "macs": round(mean(row["macs"] for row in rows) / plain["macs"], 4),
        "seconds": round(mean(row["seconds"] for row in rows), 2),
        "seeds": len(rows),
    }
    for machine in MACHINES:
        for key in ("energy_uj", "cycles"):
            found[f"{machine}_{key.removesuffix('_uj')}"] = ratio(rows, plain, machine, key)
    return found


def ratio(rows: list[Row], plain: Row, machine: str, key: str) -> float | None:
    """A number of the compressed network over that of the network before; None where it is not."""
    numbers = [row[machine][key] for row in rows if row[machine]]
    return round(mean(numbers) / plain[machine][key], 4) if numbers else None


def average(rows: list[Row], key: str) -> float | None:
    """The mean over the seeds, rounded; None where nothing was measured."""
    values = [row[key] for row in rows if row[key] is not None]
    return round(mean(values), 3) if values else None


def spread(rows: list[Row], key: str) -> float | None:
    """The largest distance from the mean; None for a single seed."""
    values = [row[key] for row in rows if row[key] is not None]
    if len(values) < 2:
        return None
    return float(round(max(abs(value - mean(values)) for value in values), 3))


def section(network: str, methods: Rows, every: Sequence[str]) -> str:
    """The table of one network, and what is not in it."""
    plain = methods["none"][0]
    known = {name: measured(rows) for name, rows in methods.items() if measured(rows)}
    lines = [f"## {network}\n", counts(plain), "", line(COLUMNS), line("---" for _ in COLUMNS)]
    lines += [line(cells(method, rows, plain)) for method, rows in known.items()]
    refused = {name: rows[0]["refused"] for name, rows in methods.items() if name not in known}
    lines += ["", *(f"- `{name}`: {reason}" for name, reason in refused.items())]
    missing = [f"`{name}`" for name in every if name not in methods]
    lines += ["", f"Not run: {', '.join(missing)}."] if missing else []
    return "\n".join(lines) + "\n"


def counts(plain: Row) -> str:
    """What the network is, and on how many images it was measured."""
    return (
        f"{plain['weights']:,} weights, {plain['macs']:,} MACs; {plain['tests']:,} test images, "
        f"{plain['trains']:,} to learn from. Before: "
        + ", ".join(
            f"{plain[name]['energy_uj']:,.1f} uJ and {plain[name]['cycles']:,} cycles on {name}"
            for name in MACHINES
        )
        + "."
    )


def line(cells: Iterable[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def cells(method: str, rows: list[Row], plain: Row) -> Iterable[str]:
    """A row of the table; the spread over the seeds stands behind an accuracy."""
    more = rows[0]["trains"] != plain["trains"]
    yield f"{method} ({rows[0]['trains']:,} images)" if more else method
    yield str(len(rows))
    for key in ("before", "after", "tuned"):
        value, apart = average(rows, key), spread(rows, key)
        shown = "-" if value is None else f"{value:.2f}"
        yield shown if not apart or key == "before" else f"{shown} ± {apart:.2f}"
    yield f"{mean(row['bits'] / row['weights'] for row in rows):.2f}"
    yield f"{mean(row['macs'] for row in rows) / plain['macs']:.2f}"
    for machine in MACHINES:
        for key in ("energy_uj", "cycles"):
            found = ratio(rows, plain, machine, key)
            yield "-" if found is None else f"{found:.2f}"
    yield f"{mean(row['seconds'] for row in rows):.1f}"
