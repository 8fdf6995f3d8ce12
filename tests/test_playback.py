"""A network played event by event, against the same network in sums."""

import json
from io import StringIO

import pytest
from rich.console import Console

from hwsim import playback
from hwsim.errors import InputError, UnknownNameError
from hwsim.hardware import load_machine
from hwsim.networks import load_network
from hwsim.simulate import simulate

MACHINE = load_machine("eyeriss_v1_int8")
NETWORK = "mobilenet_v1_fashion"


def test_every_layer_that_moves_data_is_played_once_and_in_order() -> None:
    found = playback.play(NETWORK, MACHINE)
    bits = {"ifmap": 8, "weight": 8, "ofmap": 8, "psum": 24}
    network = load_network(NETWORK)
    wide = network.with_layers({layer.name: layer.at_bits(**bits) for layer in network})
    expected = [each for each in simulate(wide, MACHINE).layers if each.fused_into is None]
    played = list(dict.fromkeys(span.layer for span in found.trace.spans if span.layer))
    assert played == [each.layer.name for each in expected]
    assert found.compute_cycles == sum(each.cost.compute_cycles for each in expected)
    assert found.cycles == pytest.approx(sum(each.cost.cycles for each in expected), rel=0.1)


def test_a_batch_takes_longer() -> None:
    one, four = (
        playback.play(NETWORK, MACHINE, layers=["stem.conv"], batch=batch) for batch in (1, 4)
    )
    assert four.cycles > 3 * one.cycles


def test_the_files_are_the_same_each_time() -> None:
    first, second = (
        playback.contents(playback.play(NETWORK, MACHINE, layers=["stem.conv"])) for _ in range(2)
    )
    assert first == second
    assert first.keys() == {"trace.json", "timeline.png", "timeline.svg"}
    assert json.loads(first["trace.json"])["traceEvents"]


def test_the_table_has_every_port_and_cause() -> None:
    found = playback.play(NETWORK, MACHINE, layers=["stem.conv"])
    text = StringIO()
    Console(file=text, width=80).print(playback.table(found))
    assert f"{found.cycles:,} cycles" in text.getvalue()
    assert all(name in text.getvalue() for name in (*found.busy_cycles, *found.stall_cycles))
    assert json.loads(playback.to_json(found))["busy_cycles"] == found.busy_cycles


def test_unknown_layers_and_wide_words_are_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean 'stem\.conv'"):
        playback.play(NETWORK, MACHINE, layers=["stem.con"])
    with pytest.raises(InputError, match="8-bit MACs"):
        playback.play(NETWORK, MACHINE, layers=["stem.conv"], bits=16)


def test_a_machine_without_fusion_plays_activations_too() -> None:
    plain = MACHINE.model_validate(MACHINE.model_dump() | {"fused": ()})
    found = playback.play(NETWORK, plain, layers=["stem.conv", "stem.act"])
    assert {span.layer for span in found.trace.spans} >= {"stem.conv", "stem.act"}
