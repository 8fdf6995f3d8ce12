"""NetAdapt: filters go, a layer a round, where accuracy suffers least for the same gain.

Yang, Howard, Chen, Zhang, Go, Sandler, Sze and Adam, "NetAdapt: Platform-Aware Neural Network
Adaptation for Mobile Applications", ECCV 2018, arXiv:1804.03230, algorithm 1. Each round asks of
every layer alone that it lowers the network's latency or energy by as much, by the fewest filters
that do, those of least l2 norm; trains each proposal for a short while; and goes on with the most
accurate. At the end the network is trained for longer. Layers whose filters only go together, as
residual sums want it, are one.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

import hwsim.config
from compressors._data import Data, Needs, check_data
from compressors._fit import Fit
from compressors._held_out import accuracy, split
from compressors._trail import Trail, key_of
from compressors.adapt._cost import Workload, network_cost
from compressors.adapt._cut import Cut, cut_, cuts
from compressors.adapt._sizes import Sizes
from compressors.codesign import Cost, LayerCosts
from compressors.structure._select import groups_of, mended, remaining_groups
from compressors.structure._widths import set_widths_, widths_of
from compressors.weights._form import parametrized
from hwsim.errors import InputError
from hwsim.progress import Progress, quiet
from hwsim.workload import Network

NAME = "netadapt"
DENSITY_IMAGES = 16
LEAST_STEP = 0.005  # of the start: who cannot give that gives nothing


class Config(hwsim.config.Config):
    """Down to `budget`, a share of the latency or energy that the network costs at first.

    The first round takes `step` of that, later ones `decay` times as much as the one before; where
    no layer alone can give as much, half of it, and so on.
    Filters that stay are a multiple of `multiple`, as machines may want them, or all. `short`
    trains each proposal, `long` the last network, and accuracy is that on the `held_out` share of
    the data. Words have `bits`, and `batch` images are processed at once.
    """

    resource: Literal["latency", "energy"] = "latency"
    budget: Annotated[float, Field(gt=0, lt=1)] = 0.5
    step: Annotated[float, Field(gt=0, lt=1)] = 0.05
    decay: Annotated[float, Field(gt=0, le=1)] = 0.98
    multiple: Annotated[int, Field(ge=1)] = 1
    bits: Annotated[int, Field(ge=2, le=16)] = 8
    batch: Annotated[int, Field(ge=1, le=65536)] = 1
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.1
    seed: Annotated[int, Field(ge=0)] = 0
    short: Fit | None = Fit(epochs=0.2, learning_rate=0.01)
    long: Fit | None = Fit(epochs=2.0, learning_rate=0.01)


@dataclass(frozen=True, kw_only=True)
class Round:
    """The proposal that a round chose: the group, by the layer that makes its filters first, how
    many filters of it stay, what the network then costs, and its accuracy, 0 to 1."""

    group: str
    filters: int
    energy_pj: float
    latency_ms: float
    accuracy: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Adapted:
    """The network, what it cost at `start` and costs now, and the rounds between.

    `shortfall` says why the budget was not met, "" where it was; the network is then the cheapest
    there was.
    """

    model: nn.Module
    start: Cost
    cost: Cost
    rounds: tuple[Round, ...]
    shortfall: str = ""


def adapt(
    model: nn.Module,
    layers: Sequence[str],
    costs: LayerCosts,
    data: Data,
    config: Config,
    *,
    judge: Data | None = None,
    folder: Path | None = None,
    progress: Progress = quiet,
) -> Adapted:
    """A smaller copy of `model`; only filters of `layers` go, and it stays as it is.

    Accuracy is judged on `judge` in place of a share of the data: images that the network was not
    trained on do not flatter it. `costs` say what each layer costs, whatever is to be lowered.

    Every proposal is kept in `folder` as it ends, and a later call with the same model, data,
    settings and folder goes on there; other costs want another folder. Raises InputError where the
    model's weights have forms, or filters of a layer cannot go.
    """
    check_data(NAME, Needs.LABELS, data)
    for path, _, _ in parametrized(model):
        raise InputError(f"layer {path!r}: {NAME}: takes plain weights, and these have a form")
    learn = data
    if judge is None:
        learn, judge = split(data, share=config.held_out, seed=config.seed)
    check_data(NAME, Needs.LABELS, judge)
    job = (config.model_dump(mode="json"), [*layers], widths_of(model), model.state_dict())
    key = key_of(*job, learn.images, learn.labels, judge.images) if folder else ""
    return _Search(model, layers, costs, learn, judge, config, Trail(folder, key), progress).run()


class _Search:
    """A network on its way down."""

    def __init__(
        self,
        model: nn.Module,
        layers: Sequence[str],
        costs: LayerCosts,
        learn: Data,
        judge: Data,
        config: Config,
        trail: Trail,
        progress: Progress,
    ) -> None:
        self.original, self.model = model, copy.deepcopy(model).eval()
        self.layers, self.costs, self.config = layers, costs, config
        self.trail, self.progress = trail, progress
        self.learn, self.judge = learn, judge
        images = learn.images[:DENSITY_IMAGES]
        self.workload = Workload.of(self.model, images, batch=config.batch, bits=config.bits)
        groups = groups_of(self.model, layers, method=NAME)
        self.sizes = Sizes.of(self.model, groups, self.workload)
        self.start = network_cost(self.sizes.traced, costs)
        self.rounds: list[Round] = []

    def run(self) -> Adapted:
        """All rounds, and the long training."""
        now = start = self.amount(self.start)
        goal, step, shortfall = self.config.budget * start, self.config.step * start, ""
        while now > goal and not shortfall:
            best = self.round(max(goal, now - step), share=now / start)
            if best is None and step > LEAST_STEP * start:
                step /= 2
            elif best is None:
                shortfall = self.complaint(now / start)
            else:
                self.rounds.append(best)
                now, step = self.amount(best), step * self.config.decay
        self.finish()
        return Adapted(
            model=self.model,
            start=self.start,
            cost=self.price(self.model),
            rounds=tuple(self.rounds),
            shortfall=shortfall,
        )

    def complaint(self, share: float) -> str:
        """Why there is no further round."""
        return (
            f"{self.config.resource}: {100 * self.config.budget:g} % of the start was not reached, "
            f"but {100 * share:.1f} %: no layer alone can give any more"
        )

    def round(self, limit: float, *, share: float) -> Round | None:
        """The best of the proposals that cost no more than `limit`; the network becomes it."""
        step, goal = f"round_{len(self.rounds):03}", self.config
        known = self.trail.recall(step)
        if known:
            self.model = self.rebuilt(known[0]["widths"], known[1])
            return Round(**known[0]["round"])
        stage = f"{100 * share:.1f} % of the {goal.resource}, on the way to {100 * goal.budget:g} %"
        best, model, cut = None, None, None
        for place, proposal in enumerate(proposals := self.proposals(limit)):
            self.progress(stage, place, len(proposals))
            found, trained = self.tried(proposal, f"{step}_{proposal.name}")
            if best is None or self.worth(found) > self.worth(best):
                best, model, cut = found, trained, proposal
        if best and cut:
            self.model = model or self.trained(cut)
            record = {"round": asdict(best), "widths": widths_of(self.model)}
            self.trail.keep(step, record, self.model.state_dict())
        return best

    def proposals(self, limit: float) -> list[Cut]:
        """A cut of each group that can reach the limit alone."""

        def price(network: Network) -> float:
            return self.amount(network_cost(network, self.costs))

        groups = remaining_groups(self.model, self.layers, method=NAME)
        return [*cuts(groups, self.sizes, price, limit=limit, multiple=self.config.multiple)]

    def tried(self, cut: Cut, step: str) -> tuple[Round, nn.Module | None]:
        """A proposal judged, and its network unless it was judged in an earlier run."""
        known = self.trail.recall(step)
        if known:
            return Round(**known[0]), None
        model = self.trained(cut)
        cost = self.price(model)
        found = Round(
            group=cut.name,
            filters=cut.filters,
            energy_pj=cost.energy_pj,
            latency_ms=cost.latency_ms,
            accuracy=accuracy(model, self.judge),
        )
        self.trail.keep(step, asdict(found))
        return found, model

    def trained(self, cut: Cut) -> nn.Module:
        """The network after a cut and its short training."""
        model = copy.deepcopy(self.model)
        cut_(model, cut)
        return mended(model, self.config.short, self.learn)

    def worth(self, found: Round) -> tuple[float, float]:
        """The more accurate first, and of equals the cheaper."""
        return found.accuracy, -self.amount(found)

    def finish(self) -> None:
        """Train for longer."""
        known = self.trail.recall("long")
        if known:
            self.model.load_state_dict(known[1])
            return
        self.progress("training at the end")
        self.model = mended(self.model, self.config.long, self.learn)
        self.trail.keep("long", {}, self.model.state_dict())

    def rebuilt(
        self, widths: Mapping[str, Mapping[str, list[int]]], state: dict[str, Tensor]
    ) -> nn.Module:
        """The network of these widths and tensors."""
        model = copy.deepcopy(self.original).eval()
        set_widths_(model, widths)
        model.load_state_dict(state)
        return model

    def price(self, model: nn.Module) -> Cost:
        """What a network costs."""
        return network_cost(self.workload.network(model), self.costs)

    def amount(self, cost: Cost | Round) -> float:
        """What is to fall."""
        return cost.latency_ms if self.config.resource == "latency" else cost.energy_pj
