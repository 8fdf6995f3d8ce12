"""`hwsim simulate`, `compare`, `machines`, `networks`, and what the shell completes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner, Result

from hwsim import completion, networks_command, registry, report
from hwsim.cli import app
from hwsim.single import read

onnx_models = pytest.importorskip("tests.onnx_models", reason="onnx is part of the test extra")

ROOT = Path(__file__).parents[1]
SHOWN = ROOT / "docs" / "mobilenet_int8"
NET = """
agraph (float[N, 3, 9, 12] x) => (float[N, 8, 1, 1] y) {
    a = Conv<pads=[1, 1, 1, 1]>(x, w)
    b = Relu(a)
    c = Conv(b, v)
    y = GlobalAveragePool(c)
}
"""
Invoke = Callable[..., Result]


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs `hwsim` in a folder that holds net.onnx alone."""
    monkeypatch.chdir(tmp_path)
    weights = np.ones((8, 3, 3, 3), np.float32)
    weights[0] = 0
    net = onnx_models.model(NET, w=weights, v=np.ones((8, 8, 2, 1), np.float32))
    onnx_models.saved(net, tmp_path)

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments), catch_exceptions=False)

    return call


def complaint(result: Result) -> str:
    """The one line that is said of bad input; nothing else is left behind."""
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("error: "))
    assert not Path("results").exists()
    return line.removeprefix("error: ")


class TestSimulate:
    def test_an_onnx_file(self, invoke: Invoke) -> None:
        result = invoke("simulate", "net.onnx", "--machine", "systolic_ws", "--batch", "2")
        assert result.exit_code == 0
        found = read(Path("results/net_on_systolic_ws/run.json"))
        assert found.side.label == "net on systolic_ws"
        assert [row.name for row in found.side.layers] == ["a", "b", "c", "y"]
        assert found.side.macs == 2 * (8 * 27 * 9 * 12 + 8 * 16 * 8 * 12)
        assert {row.weight_bits for row in found.side.layers if row.macs} == {8}
        assert found.side.layers[0].weight_density == pytest.approx(7 / 8)
        assert found.side.energy_pj == pytest.approx(sum(r.energy_pj for r in found.side.layers))
        rows = Path("results/net_on_systolic_ws/layers.csv").read_text().splitlines()
        assert len(rows) == 1 + 4
        assert "total" in result.stdout

    def test_json_is_the_record(self, invoke: Invoke) -> None:
        result = invoke("simulate", "net.onnx", "--json", "--out", "mine", "--bits", "12")
        assert result.stdout == Path("mine/run.json").read_text(encoding="utf-8")
        assert json.loads(result.stdout)["side"]["weight_bits"] == [12]

    def test_a_program(self, invoke: Invoke) -> None:
        module = nn.Sequential(nn.Conv2d(3, 4, (3, 2)), nn.ReLU(), nn.Flatten(), nn.LazyLinear(5))
        module(torch.zeros(1, 3, 6, 7))
        torch.export.save(torch.export.export(module, (torch.zeros(1, 3, 6, 7),)), "net.pt2")
        found = json.loads(invoke("simulate", "net.pt2", "--json").stdout)
        assert [row["name"] for row in found["side"]["layers"]] == ["0", "1", "3"]

    @pytest.mark.slow
    def test_a_shipped_network(self, invoke: Invoke) -> None:
        found = json.loads(invoke("simulate", "lenet_300_100_fashion", "--json").stdout)
        assert found["side"]["macs"] == 266_200

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("none.onnx",), "none.onnx: no such ONNX file"),
            (("none.pt2",), "none.pt2: no such file"),
            (("here/net.tflite",), "here/net.tflite: expected a file ending in .onnx or .pt2"),
            (("lenet5",), "unknown network 'lenet5'"),
            (("net.onnx", "--machine", "eyeris_v1"), "unknown machine 'eyeris_v1'"),
            (("net.onnx", "--shape", "x=1,3"), "net.onnx: input 'x' has 4 axes"),
            (("net.onnx", "--shape", "x=1,3,0,2"), "--shape 'x=1,3,0,2': must be like"),
            (("net.onnx", "--objective", "speed"), "hwsim simulate: --objective = 'speed'"),
            (("lenet5_fashion", "--shape", "x=1"), "--shape: goes with an ONNX file"),
            (("net.onnx", "--machine", "eyeriss_v1_int8", "--bits", "12"), "layer 'a': ifmap of"),
        ],
    )
    def test_bad_input(self, invoke: Invoke, arguments: tuple[str, ...], said: str) -> None:
        assert complaint(invoke("simulate", *arguments)).startswith(said)


class TestCompare:
    def test_two_machines(self, invoke: Invoke) -> None:
        for machine in ("eyeriss_v1", "eyeriss_v1_int8"):
            invoke("simulate", "net.onnx", "--machine", machine)
        places = ("results/net_on_eyeriss_v1", "results/net_on_eyeriss_v1_int8/run.json")
        found = json.loads(invoke("compare", *places, "--json").stdout)
        first, second = found["first"], found["second"]
        assert found["gains"]["energy"] == pytest.approx(first["energy_pj"] / second["energy_pj"])
        assert found["gains"]["energy"] > 1
        assert [pair["name"] for pair in found["layers"]] == ["a", "b", "c", "y"]
        for pair in found["layers"]:
            one, other = pair["first"], pair["second"]
            assert pair["gains"]["energy"] == pytest.approx(one["energy_pj"] / other["energy_pj"])
        said = invoke("compare", *places).stdout
        assert said.startswith("A: net on eyeriss_v1: ")
        assert f"{found['gains']['energy']:.2f}x" in said

    def test_the_sides_of_a_scenario(self, invoke: Invoke) -> None:
        place = str(SHOWN / "report.json")
        found = json.loads(invoke("compare", f"{place}:baseline", place, "--json").stdout)
        shown = report.read(SHOWN / "report.json")
        assert found["gains"] == json.loads(shown.ratios.model_dump_json())
        assert (found["first"]["label"], found["second"]["label"]) == ("16-bit", "int8")
        assert found["first"]["top1"] == shown.baseline.top1
        assert len(found["layers"]) == len(shown.pairs)

    def test_layers_that_only_names_tell_apart_are_paired(self, invoke: Invoke) -> None:
        invoke("simulate", "net.onnx")
        text = Path("results/net_on_eyeriss_v1/run.json").read_text(encoding="utf-8")
        content = json.loads(text)
        for row in content["side"]["layers"]:
            row["name"] = f"other.{row['name']}"
        Path("other.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
        found = json.loads(
            invoke("compare", "results/net_on_eyeriss_v1", "other.json", "--json").stdout
        )
        paired = {p["name"]: p["gains"] for p in found["layers"] if p["first"] and p["second"]}
        assert paired.keys() == {"a", "c"}
        assert paired["a"]["energy"] == 1.0

    @pytest.mark.parametrize(
        ("place", "said"),
        [
            ("nowhere", "nowhere: no such folder or file of results"),
            (".", ".: holds neither run.json nor report.json"),
            ("net.onnx", "net.onnx: "),
            ("broken.json", "broken.json: is not a report"),
            ("run.json", "run.json: side"),
        ],
    )
    def test_bad_input(self, invoke: Invoke, place: str, said: str) -> None:
        Path("broken.json").write_text("{", encoding="utf-8")
        found = complaint_of_two(invoke, place, str(SHOWN))
        assert found.startswith(said)


def complaint_of_two(invoke: Invoke, first: str, second: str) -> str:
    """What is said of the first place."""
    if first == "run.json":
        Path(first).write_text('{"kind": "run", "hwsim_version": "1"}', encoding="utf-8")
        result = invoke("compare", first, second)
        assert "run.json: " in result.stderr
        return "run.json: side"
    return complaint(invoke("compare", first, second))


class TestLists:
    def test_machines(self, invoke: Invoke) -> None:
        found = json.loads(invoke("machines", "--json").stdout)
        assert [one["name"] for one in found] == registry.names("machine")
        (eyeriss,) = (one for one in found if one["name"] == "eyeriss_v1")
        assert (eyeriss["pes"], eyeriss["ifmap_bits"]) == (168, 16)  # JSSC 2017, table I
        said = invoke("machines").stdout
        assert all(one["name"] in said and one["description"] in said for one in found)

    def test_a_network(self) -> None:
        found: dict[str, Any] = networks_command.facts_of("lenet_300_100_fashion")
        assert (found["macs"], found["parameters"]) == (266_200, 266_610)
        assert networks_command.row(found)[4] == "shipped"

    @pytest.mark.slow
    def test_networks(self, invoke: Invoke) -> None:
        found = json.loads(invoke("networks", "--json").stdout)
        assert [one["name"] for one in found] == registry.names("network")
        (mobilenet,) = (one for one in found if one["name"] == "mobilenet_v2")
        assert (mobilenet["macs"], mobilenet["parameters"]) == (300_774_272, 3_504_872)
        said = invoke("networks").stdout
        assert all(one["name"] in said for one in found)

    def test_what_is_shipped_as_json(self, invoke: Invoke) -> None:
        found = json.loads(invoke("list", "machines", "--json").stdout)
        assert list(found["machines"]) == registry.names("machine")


class TestCompletion:
    def complete(self, words: str) -> list[str]:
        """What bash is told for the last word of a line."""
        code = "from hwsim.cli import main; main()"
        asked = {
            "_HWSIM_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        }
        found = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | asked,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return found.stdout.split()

    def test_the_shell_is_told_names(self) -> None:
        assert self.complete("hwsim simulate --machine eyeriss") == [
            "eyeriss_v1",
            "eyeriss_v1_int8",
        ]

    def test_names_and_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        Path("nets").mkdir()
        for name in ("nets/a.onnx", "nets/b.pt2", "nets/c.txt", "nets/d.yaml"):
            Path(name).write_bytes(b"")
        assert completion.networks_and_files("ne") == ["nets/"]
        assert completion.networks_and_files("nets/") == ["nets/a.onnx", "nets/b.pt2"]
        assert completion.networks_and_files("nets/b") == ["nets/b.pt2"]
        assert completion.networks_and_files("lenet5") == ["lenet5_fashion"]
        assert completion.networks("mobilenet_v2") == ["mobilenet_v2"]
        assert completion.scenarios("") == [*registry.names("scenario"), "nets/"]
        for kind in (completion.machines, completion.scenarios, completion.spaces):
            assert kind("nets/") == ["nets/d.yaml"]
        assert completion.spaces("mob") == ["mobilenet_v2_search"]
        assert completion.subjects("are") == ["area"]
        assert completion.objectives("ed") == ["edp", "ed2p"]
        assert completion.kinds("da") == ["data-sets", "dataflows"]
