"""`hwsim map --chain`: what it prints is what `fuse` finds, and bad input gets its line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hwsim.cli import app
from hwsim.cost import cost
from hwsim.fusion import even_tiles, fuse
from hwsim.hardware import load_machine
from hwsim.layer_text import read, words
from hwsim.mapping import Mapping, validate

Invoke = Callable[..., Result]

FIRST, SECOND = "K=6 C=2 P=14 Q=10 R=3 S=2", "K=3 C=6 P=12 Q=10 R=3"
CHAIN = "--layer", FIRST, "--chain", SECOND
BITS = {"ifmap": 16, "weight": 16, "ofmap": 16, "psum": 16}


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs `hwsim map` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, ["map", *arguments])


def test_json_holds_what_fuse_finds(invoke: Invoke) -> None:
    said = json.loads(invoke(*CHAIN, "--objective", "energy", "--json").stdout)
    layers = [read(words(text), bits=BITS) for text in (FIRST, SECOND)]
    found = fuse(
        layers, load_machine("eyeriss_v1"), objective="energy", tiles=even_tiles(layers[1])
    )
    assert (said["energy_pj"], said["cycles"], said["dram_bits"]) == found.totals
    assert said["value"] == said["energy_pj"] == said["lower_bound"]
    assert found.apart
    assert said["apart"] == found.apart._asdict()
    assert said["energy_pj"] < said["apart"]["energy_pj"]
    assert said["macs"] >= sum(layer.macs for layer in layers)


def test_parts_add_up_and_map_on_what_they_see(invoke: Invoke) -> None:
    said = json.loads(invoke(*CHAIN, "--json").stdout)
    parts = [*said["pieces"], *said["loads"]]
    for key in ("energy_pj", "cycles"):
        assert sum(part["times"] * part[key] for part in parts) == pytest.approx(said[key])
    assert said["pieces"][0]["homes"]["ofmap"] == said["pieces"][-1]["homes"]["ifmap"] == "GLB"
    plain = load_machine("eyeriss_v1")
    for piece in said["pieces"]:
        layer, mapping = read(words(piece["layer"])), Mapping.from_yaml(piece["mapping"])
        machine = plain.model_copy(update={"homes": piece["homes"]})
        validate(mapping, layer, machine)
        assert cost(layer, mapping, machine).cycles == piece["cycles"]


def test_the_tables(invoke: Invoke) -> None:
    lines = invoke(*CHAIN).stdout.splitlines()
    said = json.loads(invoke(*CHAIN, "--json").stdout)
    assert lines[0] == "layer1 + layer2 on eyeriss_v1"
    gain = said["apart"]["energy_pj"] / said["energy_pj"]
    (row,) = (line for line in lines if line.startswith("gain"))
    assert row.split()[1] == f"{gain:.2f}x"
    assert f"{said['evaluated']:,} of {said['schedules']:,} schedules mapped in" in lines[-1]
    assert sum(line.startswith(("layer1 ", "layer2 ")) for line in lines) == 3


def test_layers_of_a_network(invoke: Invoke) -> None:
    names = [f"blocks.11.{part}.conv" for part in ("depthwise", "pointwise")]
    arguments = "--network", "mobilenet_v1_fashion", "--layer", names[0], "--chain", names[1]
    said = json.loads(invoke(*arguments, "--machine", "eyeriss_v1_int8", "--json").stdout)
    assert [text.split()[0] for text in said["layers"]] == [f"name={name}" for name in names]
    assert {part["layer"].split("bits=")[1].split()[0] for part in said["pieces"]} == {"8"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--layer", "K=8", "--chain", "K=4"], "'layer2' reads an ifmap of (1, 1, 1, 1), not"),
        (["--layer", "K=8", "--chain", "C=8 M=2"], "--layer: M = '2': unknown key"),
        ([*CHAIN, "--stride", "2"], "stride = '2': does not go with --chain"),
        ([*CHAIN, "--front"], "front = True: does not go with --chain"),
        ([*CHAIN, "--max-cycles", "9"], "max_cycles = 9: does not go with --chain"),
        ([*CHAIN, "--out", "here"], "out = 'here': does not go with --chain"),
        ([*CHAIN, "--bits", "32"], "ifmap of 32 bits is wider than the 16-bit MACs"),
        ([*CHAIN, "--machine", "systolic_ws"], "no buffer holds both ifmaps and ofmaps"),
        (
            ["--network", "alexnet", "--layer", "conv1", "--chain", "conv2"],
            "layer 'conv2' does not read the ofmap of 'conv1' alone",
        ),
        (
            ["--network", "resnet18", "--layer", "maxpool", "--chain", "layer1.0.conv1"],
            "layer 'layer1.0.conv1' is not all that reads the ofmap of 'maxpool'",
        ),
        (["--network", "alexnet", "--layer", "conv1", "--chain", "conv22"], "did you mean 'conv2'"),
    ],
)
def test_one_clear_line(invoke: Invoke, arguments: list[str], said: str) -> None:
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("error: "))
    assert said in line
