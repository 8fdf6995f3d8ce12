"""What the README shows is true: its files load, its code runs, its figures are the report's."""

import copy
import re
from pathlib import Path
from types import ModuleType

import pytest
import torch
import yaml
from torch import nn

from compressors._layers import weight_of
from hwsim.config import parse
from hwsim.constraints import Constraints, check
from hwsim.explore.space import load_space
from hwsim.hardware import Accelerator, load_machine
from hwsim.registry import names
from hwsim.report import read
from hwsim.scenario_file import Scenario
from hwsim.table import digits

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHOWN = ROOT / "docs" / "mobilenet_int8" / "report.json"


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def block(language: str, holding: str) -> str:
    """The one block of a language that holds some text."""
    (found,) = (text for text in blocks(language) if holding in text)
    return found


def executed(text: str, name: str) -> ModuleType:
    """A module made of a block."""
    module = ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
    return module


def test_the_machine_and_the_scenario_load() -> None:
    parse(yaml.safe_load(block("yaml", "hierarchy:")), Accelerator, file="README.md")
    parse(yaml.safe_load(block("yaml", "compressor:")), Scenario, file="README.md")


def test_the_constraints_load() -> None:
    said = parse(yaml.safe_load(block("yaml", "spatial:")), Constraints, file="README.md")
    check(said, load_machine("eyeriss_v1"), file="README.md")


def test_the_space_loads(tmp_path: Path) -> None:
    file = tmp_path / "my_space.yaml"
    file.write_text(block("yaml", "compare:"), encoding="utf-8")
    space, _ = load_space(str(file))
    assert space.size == 3 * 3 * 2


def test_the_network_runs() -> None:
    network = executed(block("python", "INPUT_SHAPE"), "my_network")
    assert network.build()(torch.zeros(2, *network.INPUT_SHAPE)).shape == (2, 10)


def test_the_compressor_zeroes_the_smallest_weights() -> None:
    method = executed(block("python", "def compress"), "my_method")
    model = nn.Sequential(nn.Linear(8, 8))
    pruned = method.compress(copy.deepcopy(model), ["0"], method.Config(zeros=0.75), None)
    magnitudes = model.get_parameter("0.weight").detach().abs()
    kept = weight_of(pruned[0]) != 0
    assert int(kept.sum()) == 16
    assert magnitudes[~kept].max() <= magnitudes[kept].min()


def test_the_plan_compresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    example = executed(block("python", "Plan(layers"), "example")
    assert capsys.readouterr().out.strip().isdigit()
    images = torch.randn(2, 1, 32, 32)
    assert torch.equal(example.small(images), example.again(images))


def test_the_plan_in_yaml_loads() -> None:
    found = yaml.safe_load(block("yaml", "compressor:"))
    found["compressed"] = yaml.safe_load(block("yaml", "plan:"))["compressed"]
    assert parse(found, Scenario, file="README.md").compressed.layers.keys() == {"classifier", "*"}


def test_the_python_example_prints_a_mapping(capsys: pytest.CaptureFixture[str]) -> None:
    executed(block("python", "Question("), "example")
    said = capsys.readouterr().out
    assert "DRAM keeps" in said
    assert "whole" in said.split()


def test_the_figures_are_those_of_the_report_shown() -> None:
    report = read(SHOWN)
    for _, side in report.sides:
        assert side.top1 is not None
        assert f"{100 * side.top1:.2f}" in README
        assert f" {digits(side.energy_pj / 1e6)} " in README
        assert f"{side.latency_ms:.2f}" in README


def test_every_file_named_exists() -> None:
    for path in re.findall(r"\]\(([\w./-]+)\)", README):
        assert (ROOT / path).exists(), path


def test_the_subjects_named_can_be_validated() -> None:
    named = re.findall(r"hwsim validate ([\w ]+?) +#", README)
    assert named
    assert {name for line in named for name in line.split()} <= set(names("validation"))
