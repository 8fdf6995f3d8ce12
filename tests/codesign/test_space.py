"""What the tables say of a choice is what its network, compressed and lowered as a whole, costs."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from torch import nn

from compressors import Plan, compress, lower
from compressors.codesign._clock import Clock
from compressors.codesign._program import Choice, Problem, Solver
from compressors.codesign._space import Builder, Space, candidate_of
from compressors.codesign._store import Store
from compressors.codesign._subject import Subject, subject_of
from compressors.codesign._survey import Survey, survey
from compressors.codesign._trials import Bench, accuracy
from hwsim.workload import Layer
from tests.codesign.networks import CANDIDATES, Fidelity, chain, data, formula, tied

BY_NAME = {each.name: each for each in CANDIDATES}


def surveyed(model: nn.Module) -> tuple[Subject, Survey]:
    known = data(model)
    subject = subject_of(model, known, calibration=None, network=None, bits=16, seed=0)
    bench = Bench(subject=subject, store=Store())
    found = survey(bench, CANDIDATES, (accuracy(Fidelity(model), ""),), Clock())
    judged = replace(
        found, options=with_drops(dict(found.options)), rates=with_drops(dict(found.rates))
    )
    return subject, judged


def with_drops(found: dict[str, Any]) -> dict[str, Any]:
    """Measured drops as they are."""
    return {
        name: {key: replace(one, drop=1 - one.score) for key, one in each.items()}
        for name, each in found.items()
    }


def built(subject: Subject, found: Survey) -> Space:
    return Builder(
        subject=subject,
        options=found.options,
        rates=found.rates,
        price=formula,
        clock=Clock(),
        dropped=[],
    ).space()


@pytest.fixture(scope="module")
def of_tied() -> tuple[nn.Module, Subject, Survey, Space]:
    model = tied()
    subject, found = surveyed(model)
    return model, subject, found, built(subject, found)


def random_choices(problem: Problem, count: int) -> list[Choice]:
    """Choices that are optimal for costs drawn at random for each state."""
    draw, found = Random(0), []
    for _ in range(count):
        items = {
            name: [replace(one, costs={**one.costs, "noise": draw.random()}) for one in states]
            for name, states in problem.items.items()
        }
        choice = Solver()(Problem(items, problem.maxima), {"noise": 1.0})
        assert choice is not None
        found.append(choice)
    return found


def lowered(model: nn.Module, subject: Subject, choice: Choice) -> list[Layer]:
    steps = {path: BY_NAME[candidate_of(choice[path])].steps for path in subject.layers}
    module = compress(model, Plan(layers=steps), data=subject.data, calibration=subject.calibration)
    return list(lower(subject.network, module, subject.images, bits=16))


def test_totals_are_those_of_the_whole(
    of_tied: tuple[nn.Module, Subject, Survey, Space],
) -> None:
    """Lowering the composed network knows nothing of tables; the formula sees sizes and widths."""
    model, subject, _, space = of_tied
    tried = {}
    for choice in random_choices(space.problem, 6):
        names = tuple(candidate_of(choice[path]) for path in subject.layers)
        if names in tried or not any(BY_NAME[name].steps for name in names):
            continue
        tried[names] = choice
        whole = [formula(layer) for layer in lowered(model, subject, choice)]
        for quantity, values in (
            ("energy", [one.energy_pj for one in whole]),
            ("latency", [one.latency_ms for one in whole]),
        ):
            assert space.problem.total(choice, quantity) == pytest.approx(sum(values)), names
    assert len(tried) >= 5


def test_layers_whose_channels_go_together_share_a_rate(
    of_tied: tuple[nn.Module, Subject, Survey, Space],
) -> None:
    _, _, found, space = of_tied
    assert set(found.rates) == {"stem", "left", "right"}
    for choice in random_choices(space.problem, 8):
        thin = {path: "filters" in candidate_of(choice[path]) for path in ("stem", "block", "deep")}
        assert len(set(thin.values())) == 1, thin
        assert "filters" not in candidate_of(choice["head"])


def test_refused_and_dominated_candidates_say_why(
    of_tied: tuple[nn.Module, Subject, Survey, Space],
) -> None:
    _, subject, found, space = of_tied
    refused = {(one.layer, one.candidate): one.reason for one in found.dropped}
    assert "reach the network's output" in refused["head", "filters 50%"]
    assert all("dominated by" in one.reason for one in space.dropped)
    for path in subject.layers:
        left = {candidate_of(state) for state in space.problem.items[path]}
        out = {one.candidate for one in (*found.dropped, *space.dropped) if one.layer == path}
        assert left | out == set(BY_NAME)
        assert not left & out


def test_dominated_candidates_are_in_no_optimum() -> None:
    """With and without them the least energy within any drop is the same."""
    model = chain()
    subject, found = surveyed(model)
    whole, every = (
        built(subject, found),
        Keeping(
            subject=subject,
            options=found.options,
            rates=found.rates,
            price=formula,
            clock=Clock(),
            dropped=[],
        ).space(),
    )
    assert whole.dropped
    assert not every.dropped
    for drop in (0.0, 0.02, 0.05, 0.1, 0.3, 1.0):
        ours, theirs = (
            Solver()(s.problem, {"energy": 1}, budgets={"drop": drop}) for s in (whole, every)
        )
        assert ours is not None
        assert theirs is not None
        assert whole.problem.total(ours, "energy") == pytest.approx(
            every.problem.total(theirs, "energy")
        )


class Keeping(Builder):
    """Drops nothing."""

    def better(self, layer: str, name: str, costs: object) -> str:
        return ""


def test_drops_add_up_from_channels_and_the_rest(
    of_tied: tuple[nn.Module, Subject, Survey, Space],
) -> None:
    """What a plan of one group costs by the tables is what its network loses, or the group's own
    loss where the rest makes up for some of it."""
    model, subject, _, space = of_tied
    thin, both = (BY_NAME[name].steps for name in ("filters 50%", "filters 50% + w8a6"))
    plan = dict.fromkeys(subject.groups["stem"].producers, thin) | {"stem": both}
    module = compress(model, Plan(layers={"*": (), **plan}), data=subject.data)
    rate = next(state for state in space.problem.items["channels of stem"] if state.label)
    rest = next(s for s in space.problem.items["stem"] if candidate_of(s) == "filters 50% + w8a6")
    drop = 1 - Fidelity(model)(module)
    assert rate.costs["drop"] + rest.costs["drop"] == pytest.approx(
        max(drop, rate.costs["drop"]), abs=1e-6
    )
