"""Prices are asked for once, and ahead of time where a simulator tells them."""

import pytest

from compressors.codesign import Simulator, Table
from compressors.codesign._prices import Prices
from compressors.codesign._store import Store
from compressors.codesign._subject import Subject, subject_of
from hwsim import simulate
from hwsim.errors import InputError
from hwsim.hardware import load_machine
from tests.codesign.networks import chain, data, formula


class Heard:
    """What was last told of progress."""

    done = total = 0

    def __call__(self, stage: str, done: int = 0, total: int = 0) -> None:
        self.done, self.total = done, total


@pytest.fixture(scope="module")
def subject() -> Subject:
    model = chain()
    return subject_of(model, data(model), calibration=None, network=None, bits=8, seed=0)


def test_layers_mapped_ahead_are_not_mapped_again(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard()
    machine = load_machine("eyeriss_v1_int8")
    prices = Prices(
        cost=Simulator(machine=machine),
        store=Store(),
        network=subject.network,
        progress=heard,
    )
    prices.ahead(subject.network)
    assert 0 < heard.done == heard.total <= len(subject.network.layers)
    known = {layer.name: layer for layer in subject.network if layer.weighted}
    wanted = simulate.simulate(subject.network, machine, workers=1)
    monkeypatch.setattr(simulate, "search", lambda question: pytest.fail("mapped again"))
    for each in wanted.layers:
        if each.layer.name in known:
            assert prices(known[each.layer.name]).energy_pj == each.cost.energy_pj


def test_one_that_cannot_be_run_leaves_all_to_be_asked(subject: Subject) -> None:
    machine = load_machine("eyeriss_v1_int8")
    prices = Prices(cost=Simulator(machine=machine), store=Store(), network=subject.network)
    wide = subject.network["0"].at_bits(ifmap=16, weight=16, ofmap=16, psum=32)
    prices.ahead([wide])
    with pytest.raises(InputError, match="bits"):
        prices(wide)


def test_only_simulators_look_ahead(subject: Subject) -> None:
    """A function, or a table, may be asked in any order, and only for what is needed."""
    assert not hasattr(Table, "ahead")
    prices = Prices(cost=formula, store=Store(), network=subject.network)
    prices.ahead(subject.network)
    assert not prices.known
