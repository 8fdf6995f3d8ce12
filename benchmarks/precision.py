"""Words by layer beside words by type and one width for all: `python -m benchmarks.precision`.

On a machine whose MACs scale with their operands, the plan of least energy that loses at most a
point of accuracy: of all with one width for weights and one for ifmaps; of all with one width for
weights of convolutions, one for linear layers and one for ifmaps, which is what Ristretto searches;
and what the search finds for each layer alone. Nothing is trained. The first test images judge
plans, fewer of them trials of single layers, and the others are reported.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from torch import nn

from benchmarks._compression_subjects import Subject, subject
from compressors import Data, Plan, compress, frozen, lower
from compressors._held_out import accuracy
from compressors._layers import weighted_layers
from compressors.codesign import Budget, search
from compressors.precision import by_type, widths
from hwsim.accuracy import one_thread
from hwsim.hardware import load_machine
from hwsim.networks import load_network
from hwsim.planning import Judge
from hwsim.progress import shown
from hwsim.simulate import simulate

BITS, TRIALS, JUDGES, DROP, IMAGES = (8, 4, 2), 1_000, 2_000, 0.01, 64


def energy_uj(found: Subject, plan: Plan | None, machine: str) -> float:
    """Of an image, the network compressed and lowered as a whole."""
    model = compressed(found, plan)
    plain, images = load_network(found.name), found.calibration.images[:IMAGES]
    network = lower(plain, model, images, bits=16)
    run = simulate(network, load_machine(machine), objective="energy", workers=1)
    return run.energy_pj / 1e6


def compressed(found: Subject, plan: Plan | None) -> nn.Module:
    """The network under a plan, or as it is."""
    if plan is None:
        return found.model
    return compress(found.model, plan, data=found.training, calibration=found.calibration)


def cheapest(found: Subject, plans: Iterator[Plan], judge: Data, machine: str) -> Plan | None:
    """Of the plans that lose at most DROP, the one of least energy; None where none does."""
    least = accuracy(found.model, judge) - DROP
    good = [one for one in plans if accuracy(frozen(compressed(found, one)), judge) >= least]
    return min(good, key=lambda plan: energy_uj(found, plan, machine), default=None)


def uniform_plans(model: nn.Module) -> Iterator[Plan]:
    """One width for all weights, one for all ifmaps."""
    for candidate in widths(BITS, BITS):
        yield Plan(layers=dict.fromkeys(weighted_layers(model), candidate.steps))


def main(
    network: Annotated[str, typer.Option()] = "lenet5_fashion",
    machine: Annotated[str, typer.Option()] = "bit_fusion",
    store: Annotated[Path, typer.Option(help="what the search keeps")] = Path(
        "results/precision.sqlite"
    ),
) -> None:
    """Print a line for each policy."""
    found = subject(network, tests=10_000, trains=512)
    labels = found.testing.labels
    assert labels is not None
    judge = found.testing.first(JUDGES)
    unseen = Data(images=found.testing.images[JUDGES:], labels=labels[JUDGES:])
    with one_thread(), shown() as progress:
        best = search(
            found.model,
            machine,
            Judge(judge.first(TRIALS)),
            Budget(accuracy_drop=DROP),
            widths(BITS, BITS),
            data=found.training,
            calibration=found.calibration,
            confirm=Judge(judge),
            store=store,
            progress=progress,
        )
        plans = {
            "16 bits": None,
            "one width": cheapest(found, uniform_plans(found.model), judge, machine),
            "by type": cheapest(found, by_type(found.model, BITS, BITS), judge, machine),
            "by layer": best.plan,
        }
        for name, plan in plans.items():
            top1 = 100 * accuracy(frozen(compressed(found, plan)), unseen)
            energy = energy_uj(found, plan, machine)
            print(f"{name:10} {top1:.2f} %  {energy:.2f} uJ  {words(plan)}")


def words(plan: Plan | None) -> str:
    """Weight and ifmap bits of each layer."""
    if plan is None:
        return ""
    settings = {path: steps[0].config for path, steps in plan.layers.items() if steps}
    return "  ".join(f"{path} {c['bits']}x{c['activation_bits']}" for path, c in settings.items())


if __name__ == "__main__":
    typer.run(main)
