"""Who prunes first, and what it saves: `python -m benchmarks.energy_aware --help`.

Energy-aware pruning (arXiv:1611.05128) with its layers in the order of simulated energy, of weights
and of multiply-accumulates, beside pruning by magnitude alone, of all layers alike and of the whole
network at once. On LeNet-5 all do rounds, each with the same fine-tuning, down to the same
accuracy, one point lost, with gentler tries at the end; on AlexNet the three orders do one round
instead, in which layers give what they can until 0.3 points are lost, and the same fine-tuning, and
magnitude alone leaves several shares of the weights, also in one round, to be compared where it is
as accurate. Grouped layers stay whole. 2,000 test images judge: training images would not do, as
the networks know them. The others are reported, with the energy of an image on zero_skipping. With
other seeds, other images judge, and training draws others. Rounds are kept as they end, and a
killed run goes on; docs/energy_aware.json has the results, docs/energy_aware.md the table.
"""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import nn

from benchmarks._compression_subjects import Subject, subject
from compressors import compress, frozen, lower, uniform, weight_codes
from compressors import energy_aware_pruning as method
from compressors._data import Data
from compressors._descent import descend
from compressors._fit import Fit
from compressors._held_out import accuracy
from compressors._layers import weighted_layers
from compressors._probe import unfolds
from compressors._trail import Trail, key_of
from hwsim.accuracy import one_thread
from hwsim.hardware import load_machine
from hwsim.networks import load_network
from hwsim.simulate import simulate

RESULTS = Path("docs/energy_aware.json")
PAGE = RESULTS.with_suffix(".md")
MAGNITUDE = {"magnitude, all alike": "layer", "magnitude, whole network": "std"}
LEFT = (0.5, 0.4, 0.3)  # shares of the weights that magnitude leaves where there is one round
# The least share that a layer keeps and what a round may cost: of several rounds, and of only one,
# where it must not be so much that all layers can give all.
KEEP, DROP = 0.3, 0.01
ONCE, DROP_ONCE = 0.02, 0.003
ROUNDS, GENTLER, LOSS = 12, 3, 0.01
# Network, machine, images at once, most rounds.
PLACES = (
    ("lenet5_fashion", "zero_skipping", 1, ROUNDS),
    ("lenet5_fashion", "zero_skipping", 16, ROUNDS),
    ("alexnet_fashion", "zero_skipping", 16, 1),
    ("alexnet_fashion", "zero_skipping", 1, 1),
)
NONE = "none"
ORDERS = ("energy", "weights", "macs")
AT_ONCE = {f"{name}, {100 * left:.0f} %": (name, left) for name in MAGNITUDE for left in LEFT}
POLICIES = (NONE, *ORDERS, *MAGNITUDE, *AT_ONCE)
ROUND_BY_ROUND, IN_ONE_ROUND = (NONE, *ORDERS, *MAGNITUDE), (NONE, *ORDERS, *AT_ONCE)
TRAINS, JUDGES, SAMPLES = 59_488, 2_000, 128
FIT = Fit(epochs=0.1, learning_rate=0.005, label_smoothing=0.1, augment=True)
IMAGES = 32  # whose zeros the simulator sees in the end
Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """What a row is of."""

    network: str
    machine: str
    batch: int
    policy: str
    seed: int


RANKS = """
What the orders say of the networks as they are: each layer's share, and its place.

"""
SHOWS = """
What it shows. Beside magnitude alone energy-aware pruning draws clearly less at equal accuracy. On
AlexNet, an image at a time, it tells 91.6 % right at 249 µJ (2.44x), where magnitude needs 464
(1.31x) for 91.4 to 91.6 %: 1.9 times as much. The paper has 3.7x and 2.1x on ImageNet's AlexNet,
1.8 times as much. With 16 images at once it is 109 µJ (1.59x) against 129 to 133 (1.30x to 1.35x).
On LeNet-5, an image at a time, it stops at 2.36x, magnitude at 1.37x and 1.53x: without output
errors and least squares two fifths of the weights must stay.

Orders make a difference where layers compete for what accuracy may fall by, and rank differently.
So they do on LeNet-5, an image at a time: MACs put conv2 first, which draws a fifth of what fc1
does, and end at 104 µJ where energy ends at 85, no less accurate. Weights put the same two layers
first as energy does, and what tells these apart, 78 µJ at half a point less, is where the rounds
end, within the noise of 2,000 judging images. With 16 images conv2 draws most, too: energy and MACs
are one order, and the order by weights draws a tenth less and is 0.2 points less accurate.

On AlexNet the layers that draw most hardly compete: fc6 and fc7 can keep 2 % of their weights
without a loss, first or last. So with one image at a time the order by MACs, which ranks them fifth
and sixth, draws 27 % more with one seed, as fc6 then came too late, and 4 % less with another, and
is 0.2 points more accurate in the first and 0.2 less in the second: a tie as a whole. Weights rank
both first, as energy does, and end within 3 %. With 16 images, where conv2 draws a third of the
energy and has 2 % of the weights, the order by weights draws 1 and 16 % more with two seeds, at as
good an accuracy, and MACs, which rank all layers but the linear ones as energy does, 4 %, 0.3
points more accurate. The paper's gap between orders is that of a network whose every layer is
needed.

The chip gains from zeros of both operands. Eyeriss itself gates by zero ifmap words alone and
stores weights uncoded: there no order of pruning saves anything, and the simulator says so.
"""


def pruned(found: Subject, case: Case, rounds: int, folder: Path) -> nn.Module:
    """The last network above the floor, or, of one round, the only one."""
    if case.policy == NONE:
        return found.model
    layers = [path for path, layer in weighted_layers(found.model).items() if unfolds(layer)]
    if case.policy in MAGNITUDE:
        return by_magnitude(found, layers, MAGNITUDE[case.policy], folder)
    if case.policy in AT_ONCE:
        name, left = AT_ONCE[case.policy]
        return smaller(found.model, left, allocation=MAGNITUDE[name], data=found.training)
    config = method.Config.model_validate(
        {
            "keep": KEEP if rounds > 1 else ONCE,
            "drop": DROP if rounds > 1 else DROP_ONCE,
            "rounds": rounds,
            "loss": LOSS if rounds > 1 else None,
            "gentler": GENTLER,
            "order": case.policy,
            "machine": case.machine,
            "batch": case.batch,
            "images": SAMPLES,
            "seed": case.seed,
            "fit": FIT.model_dump() | {"seed": case.seed},
        }
    )
    judge = parts(found, case.seed)[0]
    return method.prune(found.model, layers, config, found.training, judge=judge, folder=folder)


def by_magnitude(found: Subject, layers: list[str], allocation: str, folder: Path) -> nn.Module:
    """The same rounds without order, output errors or least squares."""
    learn, judge = found.training, found.testing.first(JUDGES)
    settings = (allocation, KEEP, LOSS, ROUNDS, GENTLER, FIT.model_dump(mode="json"))
    job = (settings, found.model.state_dict(), learn.images, judge.images)
    return descend(
        found.model,
        layers,
        partial(smaller, allocation=allocation, data=learn),
        partial(accuracy, data=judge),
        floor=accuracy(found.model, judge) - LOSS,
        keep=KEEP,
        rounds=ROUNDS,
        gentler=GENTLER,
        trail=Trail(folder, key_of(*job)),
    )


def smaller(model: nn.Module, share: float, *, allocation: str, data: Data) -> nn.Module:
    """The network with a share of the weights that it has, fine-tuned."""
    left, size = weights(model)
    config = {
        "sparsity": 1 - share * left / size,
        "allocation": allocation,
        "rounds": 1,
        "scale_dropout": False,
        "fit": FIT.model_dump(),
    }
    return compress(model, uniform(("magnitude_pruning", config)), data=data)


def weights(model: nn.Module) -> tuple[int, int]:
    """How many weights are not zero, and how many there are."""
    decoded = [code.decode() for code in weight_codes(model).values()]
    return sum(int(w.count_nonzero()) for w in decoded), sum(w.numel() for w in decoded)


def measured(found: Subject, case: Case, rounds: int, folder: Path) -> Row:
    """One row: per image, on the test images."""
    start, batch = time.monotonic(), case.batch
    model = pruned(found, case, rounds, folder)
    chip, plain = load_machine(case.machine), load_network(found.name, batch=batch)
    network = lower(plain, model, found.testing.images[:IMAGES], bits=chip.mac.ifmap_bits)
    run = simulate(network, chip, workers=1)
    left, size = weights(model)
    return {
        **asdict(case),
        "top1": 100 * accuracy(frozen(model), parts(found, case.seed)[1]),
        "energy_uj": run.energy_pj / 1e6 / batch,
        "cycles": run.cycles / batch,
        "weights": left / size,
        "layers": {
            one.layer.name: {
                "energy_uj": one.cost.energy_pj / 1e6 / batch,
                "density": one.layer.weight.density,
            }
            for one in run.layers
            if one.layer.weighted
        },
        "seconds": time.monotonic() - start,
    }


def parts(found: Subject, seed: int) -> tuple[Data, Data]:
    """The test images that judge, the first JUDGES of an order, and those that decide nothing."""
    images, labels = found.testing.images, found.testing.labels
    assert labels is not None
    order = torch.arange(len(images))
    if seed:
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    first, rest = order[:JUDGES], order[JUDGES:]
    return Data(images=images[first], labels=labels[first]), Data(
        images=images[rest], labels=labels[rest]
    )


def page(rows: list[Row]) -> Iterator[str]:
    """The table in Markdown."""
    yield f"{str(__doc__).strip()}\n\n"
    heads = ("network", "batch", "policy", "seed", "top-1 %", "weights left %", "energy µJ", "gain")
    yield f"| {' | '.join(heads)} |\n"
    yield f"|{'---|' * len(heads)}\n"
    plain = {place(row): row["energy_uj"] for row in rows if row["policy"] == NONE}

    def key(row: Row) -> tuple[str, str, int, int, int]:
        return *place(row), POLICIES.index(row["policy"]), row["seed"]

    for row in sorted(rows, key=key):
        gain = plain[place(row)] / row["energy_uj"] if place(row) in plain else float("nan")
        yield (
            f"| {row['network']} | {row['batch']} | {row['policy']} | {row['seed']} "
            f"| {row['top1']:.2f} | {100 * row['weights']:.1f} "
            f"| {row['energy_uj']:.1f} | {gain:.2f}x |\n"
        )
    yield RANKS
    yield from ranks(rows)
    yield SHOWS


def ranks(rows: list[Row]) -> Iterator[str]:
    """What part of the whole each layer has of what layers are ordered by, and its rank in it."""
    yield "| network | batch | layer | energy % | weights % | MACs % |\n|---|---|---|---|---|---|\n"
    plain = {place(row): row["layers"] for row in rows if row["policy"] == NONE}
    for (name, _, batch), drawn in sorted(plain.items()):
        network = load_network(name, batch=batch)
        columns = [
            ranked({path: drawn[path]["energy_uj"] for path in drawn}),
            ranked({path: network[path].words("weight") for path in drawn}),
            ranked({path: network[path].macs for path in drawn}),
        ]
        for path in drawn:
            yield f"| {name} | {batch} | {path} | {' | '.join(one[path] for one in columns)} |\n"


def ranked(amounts: Mapping[str, float]) -> dict[str, str]:
    """Each layer's share of the sum in per cent, and its place, the largest first."""
    order = sorted(amounts, key=lambda path: -amounts[path])
    total = sum(amounts.values())
    return {path: f"{100 * amounts[path] / total:.1f} ({order.index(path) + 1})" for path in order}


def place(row: Row) -> tuple[str, str, int]:
    """What rows are compared within."""
    return row["network"], row["machine"], row["batch"]


def main(
    networks: Annotated[list[str] | None, typer.Option("--network")] = None,
    policies: Annotated[list[str] | None, typer.Option("--policy")] = None,
    batches: Annotated[list[int] | None, typer.Option("--batch")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    folder: Annotated[Path, typer.Option(help="where rounds are kept")] = Path("results/pruning"),
) -> None:
    """Measure what is not in docs/energy_aware.json yet, and draw the page."""
    known = {Case(**{one.name: row[one.name] for one in fields(Case)}) for row in read()}
    with one_thread():
        for name, machine, batch, rounds in PLACES:
            if (networks and name not in networks) or (batches and batch not in batches):
                continue
            for policy in IN_ONE_ROUND if rounds == 1 else ROUND_BY_ROUND:
                case = Case(name, machine, batch, policy, seed)
                if case not in known and (not policies or policy in policies):
                    print(case, file=sys.stderr)
                    found = subject(name, tests=10_000, trains=TRAINS)
                    add(measured(found, case, rounds, folder))


def read() -> list[Row]:
    """All that was measured."""
    found: list[Row] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    return found


def add(row: Row) -> None:
    """Write both files anew with one row more, the results whole or not at all."""
    rows = [*read(), row]
    part = RESULTS.with_suffix(".part")
    part.write_text(json.dumps(rows, indent=1) + "\n")
    os.replace(part, RESULTS)
    PAGE.write_text("".join(page(rows)))


if __name__ == "__main__":
    typer.run(main)
