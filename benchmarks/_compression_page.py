"""The table of `benchmarks.compression` in docs/, and what `hwsim methods` shows of it."""

import json
from collections.abc import Iterable
from pathlib import Path
from statistics import mean
from typing import Any

PAGE, MEASURED = Path("docs/compression.md"), Path("compressors/measured.json")
Row = dict[str, Any]

HEAD = """# Compression methods, measured

Written by `python -m benchmarks.compression`; every figure is in compression.json beside it.
Methods run with their default settings on all layers that they take; what one refuses, such as
the last layer to a pruner of its channels, is left as it is. Accuracy is top-1 in per
cent on Fashion-MNIST's test images: of the network before, right after the method (with the
training that is part of it), and after one more epoch of fine-tuning. Energy and cycles are those
of the simulator, as ratios to the network before, in words of 16 bits on eyeriss_v1 and of 8 on
zero_skipping; a ratio under 1 is a gain.
Several seeds are averaged.

What the literature promises, and what is here:

- Fixed point of 8 bits within half a point, ShiftCNN (N = 2, B = 4) within one, both without
  training: so it is.
- Magnitude pruning to 80 % zeros within a point after fine-tuning: 1.2 to 1.6 points are lost,
  after a few epochs on 12,000 of the 60,000 training images. The network itself loses a third of a
  point when it is trained on with so few.
- Deep Compression by 20 without loss: it is by 30 to 36, at a loss of 2 to 3.5 points, for the same
  reason; trained longer, the slow test of `deep_compression` has 40 without loss.
- Filter pruning of 30 % of the MACs within a point: the default rate takes half of all filters of
  every layer, 72 % of LeNet-5's MACs, which fine-tuning for an epoch does not make good.
- Binary weights and maps, hashed and soft-shared weights are methods to train with from the start;
  an epoch or two from trained float weights leave them 2 to 11 points behind. Density-diversity and
  soft weight-sharing fail on LeNet-300-100 at their default settings, chosen on a smaller network.
- Bits a weight of pruned layers are those of the file, where a non-zero is a float of 32 bits.
  Energy falls only where a machine can use what a method leaves: neither has decoders, so that
  codebooks gain nothing; Eyeriss gains by narrower words, zero_skipping by zeros.
"""
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


def draw(rows: list[Row]) -> None:
    """Writes the page and the summary."""
    grouped = group(rows)
    MEASURED.write_text(json.dumps(summary(grouped), indent=1, sort_keys=True) + "\n")
    networks = sorted({network for network, _ in grouped})
    PAGE.write_text("\n".join([HEAD, *(section(name, grouped) for name in networks)]))


def group(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    """The rows of every network and method, one a seed."""
    grouped: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(rows, key=lambda row: row["seed"]):
        grouped.setdefault((row["network"], row["method"]), []).append(row)
    return grouped


def summary(grouped: dict[tuple[str, str], list[Row]]) -> dict[str, Any]:
    """Of each method, by network: accuracy in per cent and bits a weight."""
    found: dict[str, Any] = {}
    for (network, method), rows in sorted(grouped.items()):
        found.setdefault(method, {})[network] = {
            "top1_before": average(rows, "before"),
            "top1_after": average(rows, "after"),
            "top1_tuned": average(rows, "tuned"),
            "bits_a_weight": mean(row["bits"] / row["weights"] for row in rows),
            "seeds": len(rows),
        }
    return found


def average(rows: list[Row], key: str) -> float | None:
    """The mean over the seeds, rounded; None where nothing was measured."""
    values = [row[key] for row in rows if row[key] is not None]
    return round(mean(values), 3) if values else None


def section(network: str, grouped: dict[tuple[str, str], list[Row]]) -> str:
    """The table of one network."""
    methods = {method: rows for (name, method), rows in sorted(grouped.items()) if name == network}
    plain = methods.pop("none")[0]
    lines = [f"## {network}\n", line(COLUMNS), line("---" for _ in COLUMNS)]
    lines += [line(cells(method, rows, plain)) for method, rows in methods.items()]
    return "\n".join(lines) + "\n"


def line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def cells(method: str, rows: list[Row], plain: Row) -> Iterable[str]:
    """A row of the table."""
    yield method
    yield str(len(rows))
    for key in ("before", "after", "tuned"):
        value = average(rows, key)
        yield "-" if value is None else f"{value:.2f}"
    yield f"{mean(row['bits'] / row['weights'] for row in rows):.2f}"
    yield f"{mean(row['macs'] for row in rows) / plain['macs']:.2f}"
    for machine in ("eyeriss_v1", "zero_skipping"):
        for key in ("energy_uj", "cycles"):
            yield f"{mean(row[machine][key] for row in rows) / plain[machine][key]:.2f}"
    yield f"{mean(row['seconds'] for row in rows):.1f}"
