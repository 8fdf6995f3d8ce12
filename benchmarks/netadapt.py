"""Filters cut by what a machine says, beside all layers alike: `python -m benchmarks.netadapt`.

NetAdapt (arXiv:1804.03230) brings a network's simulated latency or energy down; then every layer
keeps the same share of its filters, those of largest absolute sum, the largest share that costs no
more.
Both networks are trained for as many steps in all at the end as NetAdapt's last network has seen,
and compared on test images that decided nothing. Trials are kept as they end, and a killed run goes
on.
"""

import sys
from bisect import bisect_left
from pathlib import Path
from typing import Annotated, Literal

import typer
from torch import nn

from benchmarks._compression_subjects import subject
from compressors import Data, adapt, compress, uniform
from compressors._fit import Fit
from compressors._held_out import accuracy
from compressors._layers import weighted_layers
from compressors.adapt._cost import Workload, network_cost
from compressors.codesign import Cost, LayerCosts, Simulator
from compressors.structure._select import fine_tuned
from hwsim.accuracy import one_thread
from hwsim.hardware import load_machine

TRAINS, JUDGES, SHARES = 59_488, 2_000, 64
Resource = Literal["latency", "energy"]
FIT = Fit(epochs=1.0, learning_rate=0.005, label_smoothing=0.1, augment=True)


def alike(
    model: nn.Module, work: Workload, costs: LayerCosts, resource: Resource, limit: Cost
) -> nn.Module:
    """The network whose layers keep the same share of filters, the largest within the limit."""
    last = next(reversed(weighted_layers(model)))

    def of(share: int) -> nn.Module:
        plan = uniform(("l1_filter_pruning", {"keep": share / SHARES}), keep=[last])
        return compress(model, plan)

    def amount(cost: Cost) -> float:
        return cost.latency_ms if resource == "latency" else cost.energy_pj

    def more(share: int) -> bool:
        return amount(network_cost(work.network(of(share)), costs)) > amount(limit)

    return of(max(1, bisect_left(range(1, SHARES), True, key=more)))


def main(
    network: Annotated[str, typer.Option()] = "lenet5_fashion",
    machine: Annotated[str, typer.Option()] = "eyeriss_v1_int8",
    resource: Annotated[Resource, typer.Option()] = "latency",
    budget: Annotated[float, typer.Option(help="share of it that is left")] = 0.5,
    step: Annotated[float, typer.Option(help="share that the first round takes")] = 0.1,
    short: Annotated[float, typer.Option(help="epochs that train a proposal")] = 0.05,
    long: Annotated[float, typer.Option(help="epochs that train in the end")] = 1.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    folder: Annotated[Path, typer.Option(help="where trials are kept")] = Path("results/netadapt"),
) -> None:
    """Print a line for each round and a table."""
    found = subject(network, tests=10_000, trains=TRAINS)
    judge, layers = found.testing.first(JUDGES), [*weighted_layers(found.model)][:-1]
    labels = found.testing.labels
    assert labels is not None
    unseen = Data(images=found.testing.images[JUDGES:], labels=labels[JUDGES:])
    costs = Simulator(machine=load_machine(machine))
    brief, last = (
        FIT.model_copy(update={"epochs": epochs, "seed": seed}) for epochs in (short, long)
    )
    config = adapt.Config(
        resource=resource, budget=budget, step=step, decay=0.95, short=brief, long=last, seed=seed
    )

    def tell(stage: str, done: int = 0, total: int = 0) -> None:
        print(f"{stage} {done}/{total}", file=sys.stderr)

    with one_thread():
        ours = adapt.adapt(
            found.model,
            layers,
            costs,
            found.training,
            config,
            judge=judge,
            folder=folder,
            progress=tell,
        )
        work = Workload.of(found.model, found.training.images[:16], batch=1, bits=config.bits)
        rival = alike(found.model, work, costs, resource, ours.cost)
        epochs = len(ours.rounds) * short + long
        fine_tuned(rival, last.model_copy(update={"epochs": epochs}), found.training)
        for turn, one in enumerate(ours.rounds, start=1):
            print(
                f"round {turn}: {one.group} keeps {one.filters}: {one.latency_ms:.4f} ms  "
                f"{one.energy_pj / 1e6:.1f} uJ  {100 * one.accuracy:.2f} %"
            )
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
