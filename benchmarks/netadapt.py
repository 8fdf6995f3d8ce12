"""Filters cut by what a machine says, beside all layers alike: `python -m benchmarks.netadapt`.

NetAdapt (arXiv:1804.03230) halves a network's simulated latency; then every layer keeps the same
share of its filters, those of largest absolute sum, the largest share of as low a latency. Both
networks are trained for as many steps in all at the end as NetAdapt's last network has seen, and
compared on test images that decided nothing. Trials are kept as they end, and a killed run goes on.
"""

import copy
import sys
from pathlib import Path
from typing import Annotated

import typer
from torch import nn

from benchmarks._compression_subjects import subject
from compressors import Data, adapt, compress, uniform
from compressors._fit import Fit
from compressors._held_out import accuracy
from compressors._layers import weighted_layers
from compressors.adapt._cost import Workload, network_cost
from compressors.codesign import LayerCosts, Simulator
from compressors.structure._select import fine_tuned
from hwsim.accuracy import one_thread
from hwsim.hardware import load_machine

TRAINS, JUDGES, BUDGET, SHARES = 59_488, 2_000, 0.5, 64
SHORT = Fit(epochs=0.05, learning_rate=0.005, label_smoothing=0.1, augment=True)
LONG = SHORT.model_copy(update={"epochs": 1.0})
CONFIG = adapt.Config(budget=BUDGET, step=0.1, decay=0.95, short=SHORT, long=LONG)


def alike(
    model: nn.Module, layers: list[str], work: Workload, costs: LayerCosts, limit_ms: float
) -> nn.Module:
    """The network whose layers keep the same share of filters, the largest within the latency."""
    last = next(reversed(weighted_layers(model)))
    for share in range(SHARES - 1, 0, -1):
        plan = uniform(("l1_filter_pruning", {"keep": share / SHARES}), keep=[last])
        found = compress(model, plan)
        if network_cost(work.network(found), costs).latency_ms <= limit_ms:
            return found
    return copy.deepcopy(model)


def main(
    network: Annotated[str, typer.Option()] = "lenet5_fashion",
    machine: Annotated[str, typer.Option()] = "eyeriss_v1_int8",
    folder: Annotated[Path, typer.Option(help="where trials are kept")] = Path("results/netadapt"),
) -> None:
    """Print a line for each round and a table."""
    found = subject(network, tests=10_000, trains=TRAINS)
    judge, layers = found.testing.first(JUDGES), [*weighted_layers(found.model)][:-1]
    labels = found.testing.labels
    assert labels is not None
    unseen = Data(images=found.testing.images[JUDGES:], labels=labels[JUDGES:])
    costs = Simulator(machine=load_machine(machine))

    def tell(stage: str, done: int = 0, total: int = 0) -> None:
        print(f"{stage} {done}/{total}", file=sys.stderr)

    with one_thread():
        ours = adapt.adapt(
            found.model,
            layers,
            costs,
            found.training,
            CONFIG,
            judge=judge,
            folder=folder,
            progress=tell,
        )
        work = Workload.of(found.model, found.training.images[:16], batch=1, bits=CONFIG.bits)
        rival = alike(found.model, layers, work, costs, ours.cost.latency_ms)
        epochs = len(ours.rounds) * SHORT.epochs + LONG.epochs
        fine_tuned(rival, LONG.model_copy(update={"epochs": epochs}), found.training)
        for turn, one in enumerate(ours.rounds, start=1):
            print(f"round {turn}: {one.group} keeps {one.filters}: {one.latency_ms:.4f} ms")
        print(f"{network} on {machine}: {ours.shortfall or 'the budget is met'}")
        for name, model in (("as it is", found.model), ("NetAdapt", ours.model), ("alike", rival)):
            cost = network_cost(work.network(model), costs)
            widths = "-".join(
                str(len(p.get_parameter("weight"))) for p in weighted_layers(model).values()
            )
            print(
                f"{name:9} {100 * accuracy(model, unseen):.2f} %  {cost.latency_ms:.4f} ms  "
                f"{cost.energy_pj / 1e6:.1f} uJ  {widths}"
            )


if __name__ == "__main__":
    typer.run(main)
