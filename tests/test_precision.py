"""Words for each layer: the search against every combination there is, on two machines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest
from torch import nn

from compressors import Plan, compress, frozen, lower
from compressors._layers import weighted_layers
from compressors.codesign import Budget, Candidate, Found, search
from compressors.precision import by_type, machine_widths, shifts, widths
from hwsim.errors import InputError
from hwsim.frontends.torch import network_from_torch
from hwsim.hardware import load_machine
from hwsim.simulate import simulate
from tests.codesign.networks import Fidelity, chain, data, images


@dataclass(frozen=True)
class Point:
    """What a plan measures as a whole."""

    accuracy: float
    energy_pj: float
    latency_ms: float


class Place:
    """A network on a machine, each layer mapped for one objective."""

    def __init__(self, machine: str, objective: str) -> None:
        self.model, self.machine, self.objective = chain(), machine, objective
        self.evaluate, self.data = Fidelity(self.model), data(self.model)
        self.network = network_from_torch(self.model, (images(1),), name="chain")

    def measured(self, plan: Plan) -> Point:
        """Compressed and lowered as a whole, and simulated."""
        chip = load_machine(self.machine)
        model = compress(self.model, plan, data=self.data, calibration=self.data)
        network = lower(self.network, model, self.data.images, bits=16)
        mapped = {"energy": "energy", "latency": "cycles", "accuracy": "edp"}[self.objective]
        run = simulate(network, chip, objective=mapped, workers=1)  # type: ignore[arg-type]  # one of them
        latency_ms = run.cycles / (chip.clock_mhz * 1e3)
        return Point(self.evaluate(frozen(model)), run.energy_pj, latency_ms)

    def every(self, candidates: Sequence[Candidate]) -> list[Point]:
        """All combinations."""
        paths = [*weighted_layers(self.model)]
        return [
            self.measured(Plan(layers={p: c.steps for p, c in zip(paths, chosen, strict=True)}))
            for chosen in product(candidates, repeat=len(paths))
        ]

    def searched(self, candidates: Sequence[Candidate], budget: Budget, store: Path) -> Found:
        """What the search makes of it."""
        return search(
            self.model,
            self.machine,
            self.evaluate,
            budget,
            candidates,
            data=self.data,
            calibration=self.data,
            objective=self.objective,  # type: ignore[arg-type]  # one of them
            rounds=20,
            store=store / "store.sqlite",
        )


WORDS = widths((8, 3), (8, 4))[:3]  # 8 x 8, 8 x 4, 3 x 8


@pytest.mark.slow
def test_narrow_words_pay_on_a_machine_that_scales(tmp_path: Path) -> None:
    """The fastest of all 8 plans that lose at most so much; no plan by type is faster."""
    place, words = Place("bit_fusion", "latency"), widths((16, 4), (8,))
    points, drop = place.every(words), 0.1
    wanted = min(one.latency_ms for one in points if one.accuracy >= 1 - drop)
    assert wanted < max(one.latency_ms for one in points)
    found = place.searched(words, Budget(accuracy_drop=drop), tmp_path)
    assert found.met
    assert found.report.found.latency_ms == pytest.approx(wanted)
    assert found.plan is not None
    assert place.measured(found.plan).latency_ms == pytest.approx(wanted)
    typed = [place.measured(plan) for plan in by_type(place.model, (16, 4), (8,))]
    assert wanted <= min(one.latency_ms for one in typed if one.accuracy >= 1 - drop)


@pytest.mark.slow
def test_the_most_accurate_within_a_latency(tmp_path: Path) -> None:
    """HAQ's question, answered as all 27 plans do."""
    place = Place("bit_fusion", "accuracy")
    points = place.every(WORDS)
    slowest = max(one.latency_ms for one in points)
    for share in (0.9, 0.7):
        fitting = [one.accuracy for one in points if one.latency_ms <= share * slowest]
        found = place.searched(WORDS, Budget(latency_ms=share * slowest), tmp_path)
        if fitting:
            assert found.met
            assert found.report.found.accuracy == pytest.approx(max(fitting))
        else:
            assert not found.met
            assert "nearest" in found.text


@pytest.mark.slow
def test_terms_and_bits_of_shifts(tmp_path: Path) -> None:
    """ShiftCNN's N and B for each layer: the least energy of all 27 plans that are so accurate."""
    place = Place("shiftcnn", "energy")
    candidates = (*shifts((1,), (3,)), *shifts((2, 3), (4,)))
    points = place.every(candidates)
    wanted = min(one.energy_pj for one in points if one.accuracy >= 0.9)
    found = place.searched(candidates, Budget(accuracy_drop=0.1), tmp_path)
    assert found.met
    assert found.report.found.energy_pj == pytest.approx(wanted)


def test_every_term_is_an_operation() -> None:
    """N shift-adds a weight, N * B bits of it, beside 8-bit ifmaps; with two
    bits a term is one level of either sign: it only adds.
    """
    place = Place("shiftcnn", "energy")
    for (terms, bits), candidate in zip(
        product((1, 2), (2, 4)), shifts((1, 2), (2, 4)), strict=True
    ):
        plan = Plan(layers=dict.fromkeys(weighted_layers(place.model), candidate.steps))
        model = compress(place.model, plan, data=place.data, calibration=place.data)
        for layer in lower(place.network, model, place.data.images):
            if layer.weighted:
                assert (layer.terms, layer.ifmap.bits) == (terms, 8)
                assert layer.primitive == ("add" if bits == 2 else "shift_add")
                stored: Mapping[str, int] = {
                    "".join(s.decoders): s.bits for s in layer.weight.stored
                }
                words = layer.words("weight")
                assert stored["power_of_two"] == pytest.approx(terms * bits * words, abs=64)


def test_the_machine_names_its_widths() -> None:
    names = {one.name for one in machine_widths(load_machine("bit_fusion"))}
    assert names == {f"w{w}a{a}" for w in (2, 4, 8, 16) for a in (2, 4, 8, 16)}
    with pytest.raises(InputError, match=r"eyeriss_v1.*one width"):
        machine_widths(load_machine("eyeriss_v1"))


def test_plans_by_type() -> None:
    """One width for each type; a network of one type has no width for the other."""
    model = chain()
    plans = list(by_type(model, (8, 4, 2), (8, 6)))
    assert len({plan.model_dump_json() for plan in plans}) == 3 * 3 * 2
    for plan in plans:
        bits = {path: steps[0].config["bits"] for path, steps in plan.layers.items()}
        assert bits["4"] == bits["6"]
        assert len({steps[0].config["activation_bits"] for steps in plan.layers.values()}) == 1
    linear = nn.Sequential(nn.Flatten(), nn.Linear(108, 5))
    assert len(list(by_type(linear, (8, 4, 2), (8, 6)))) == 3 * 2
