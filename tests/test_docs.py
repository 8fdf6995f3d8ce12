"""What the pages show is true: files load, code runs, commands are ones that there are."""

import copy
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from shutil import copytree

import pytest
import torch
import typer
import yaml
from PIL import Image
from torch import nn

from compressors._layers import weight_of
from data._make_fashion_mnist import SOURCE
from hwsim.cli import app
from hwsim.config import Config, parse
from hwsim.constraints import Constraints, check
from hwsim.explore.space import load_space
from hwsim.hardware import Accelerator, load_machine
from hwsim.mapping import validate
from hwsim.methods import methods
from hwsim.methods_page import page
from hwsim.page import points
from hwsim.registry import PACKAGES, hook, names
from hwsim.scenario_file import Scenario
from hwsim.workload import Layer
from tests.example_report import EXAMPLES, example
from tests.onnx_models import model, saved
from tests.pages import BLOCKS, COMMANDS, PAGES, ROOT, Block, Command, titled

LONG_CODE = ("search(", "to_onnx(", "training=True", "ask(")
EXAMPLES_OF_CODE = [
    pytest.param(b, id=b.id, marks=[pytest.mark.slow] * any(long in b.text for long in LONG_CODE))
    for b in BLOCKS
    if b.language == "python" and not b.title
]
# A block that stands for a file, and what reads it; the others have a test of their own.
READERS: dict[str, type[Config]] = {
    "scenarios": Scenario,
    "hwsim/accelerators": Accelerator,
    ".": Constraints,
}
OWN_TESTS = {"part of a scenario", "spaces/my_space.yaml"}
# Commands that take long: they run with less to do, see `tests.briefly`.
LONG = (
    *("-m models.", "-m benchmarks.", "--effort 2000000", "--workers 2", "--images"),
    *("mixed_precision", "run shiftcnn", "codesign_mobilenet", "run energy"),
    *("pruned_linear", "deep_compression"),
)
# What no test runs, and why.
LEFT_OUT = {
    "-m venv": "continuous integration begins with it",
    "pip install": "continuous integration does, by the README's own line and the site's",
    "mkdocs": "continuous integration builds the site",
    "-m pytest": "is running",
    "benchmarks.mappers": "installs other mappers; tests/test_peers.py has its parts",
}
# Those that another page shows and has run.
ELSEWHERE = {"README.md": ("explore dataflows",)}


@pytest.mark.parametrize("block", EXAMPLES_OF_CODE)
def test_code_runs(
    block: Block,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "training=True" in block.text and not SOURCE.is_dir():
        pytest.skip(f"{SOURCE} is absent (Debian package dataset-fashion-mnist)")
    monkeypatch.chdir(tmp_path)
    block.executed()
    printed = "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines())
    assert printed or "to_onnx(" in block.text
    if "search(" in block.text:  # as printed, but for blanks at the ends of lines
        assert any(printed in shown.text for shown in BLOCKS if shown.language == "text")


@pytest.mark.slow
def test_the_export_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hwsim.frontends.onnx import network_from_onnx

    monkeypatch.chdir(tmp_path)
    (block,) = (b for b in BLOCKS if b.language == "python" and "to_onnx(" in b.text)
    block.executed()
    read = network_from_onnx(Path("results/lenet5_int8.onnx"))
    assert {layer.weight.bits for layer in read if layer.weighted} == {8}
    assert sum(layer.macs for layer in read) == 2_293_000


@pytest.mark.parametrize(
    "block", [b for b in BLOCKS if b.language == "yaml"], ids=lambda block: block.id
)
def test_yaml_loads(block: Block) -> None:
    if block.title not in OWN_TESTS:
        reader = READERS[str(Path(block.title).parent)]
        parse(yaml.safe_load(block.text), reader, file=block.page)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.line[:60])
def test_commands_are_there(command: Command) -> None:
    program, *words = command.words
    if program.endswith("/hwsim"):
        _parse(words)
    elif words[:1] == ["-m"] and words[1] not in ("venv", "pytest"):
        assert (ROOT / (words[1].replace(".", "/") + ".py")).is_file()
    else:
        assert Path(program).name in {"python3", "python", "pip", "mkdocs"}, command.line


def _parse(words: list[str]) -> None:
    """Raises UsageError for a verb or an option that there is not."""
    group = typer.main.get_command(app)
    if words[0].startswith("--"):  # which does what it says at once
        assert any(words[0] in option.opts for option in group.params)
        return
    context = group.make_context("hwsim", list(words))
    verb, arguments = words[0], words[1:]
    found = group.get_command(context, verb)  # type: ignore[attr-defined]  # it is a group
    assert found is not None, verb
    found.make_context(verb, arguments, parent=context)


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted({command.page for command in COMMANDS}))
def test_commands_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, in a folder that holds the YAML files of the pages, the run that they show, and the
    user's own files of which they speak."""
    copytree(ROOT / "docs" / "mobilenet_int8", tmp_path / "docs" / "mobilenet_int8")
    left_out = (*LEFT_OUT, *ELSEWHERE.get(page, ()))
    _write_images(tmp_path / "path" / "to" / "images")
    if page == "docs/networks.md":
        _write_networks(tmp_path)
        monkeypatch.chdir(tmp_path)
        next(block for block in BLOCKS if "to_onnx(" in block.text).executed()
    for block in BLOCKS:
        if block.language == "yaml" and block.title:
            (tmp_path / Path(block.title).name).write_text(block.text, encoding="utf-8")
    wanted = [
        command
        for command in COMMANDS
        if command.page == page and not any(part in command.line for part in left_out)
    ]
    for (brief, _), group in groupby(wanted, key=lambda each: (_is_long(each), each.variables)):
        commands = list(group)
        if brief:
            _check(_briefly(commands), commands[0].variables, tmp_path)
        else:
            for command in commands:
                printed = _check(_words(command), command.variables, tmp_path)
                if command.output:
                    (tmp_path / command.output).write_text(printed, encoding="utf-8")


def _write_images(folder: Path) -> None:
    """Two classes of 40 images each."""
    for place in range(80):
        file = folder / f"class_{place % 2}" / f"{place}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32), (3 * place, 90, 100 * (place % 2))).save(file)


def _write_networks(folder: Path) -> None:
    """A model whose size is open, and a program."""
    module, images = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), torch.zeros(1, 3, 12, 10)
    torch.export.save(torch.export.export(module, (images,)), folder / "program.pt2")
    text = "agraph (float[N, 3, H, W] input) => (float[N, 3, P, Q] out) { out = Relu(input) }"
    saved(model(text), folder).rename(folder / "model.onnx")


def _is_long(command: Command) -> bool:
    return any(part in command.line for part in LONG)


def _words(command: Command) -> list[str]:
    """What the interpreter is asked to do."""
    program, *words = command.words
    if program.endswith("/hwsim"):
        return ["-c", "from hwsim.cli import main; main()", *words]
    return words


def _briefly(commands: Sequence[Command]) -> list[str]:
    """The same with less to do, all in one process."""
    called = [
        ["hwsim", *each.words[1:]] if each.words[0].endswith("/hwsim") else each.words[2:]
        for each in commands
    ]
    return ["-m", "tests.briefly", *map(shlex.join, called)]


def _check(words: Sequence[str], variables: Mapping[str, str], folder: Path) -> str:
    """Runs this interpreter from a shell whose files it may add to; what it printed."""
    done = subprocess.run(
        ["bash", "-c", f"{shlex.join([sys.executable, *words])}; exit $?"],  # it asks which shell
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


def test_every_block_that_is_a_file_is_of_a_known_kind() -> None:
    folders = {folder.replace(".", "/") for folder, _ in PACKAGES.values()} | {"."}
    for block in BLOCKS:
        if block.title and block.title not in OWN_TESTS:
            assert str(Path(block.title).parent) in folders, block.id


def test_links_lead_to_files() -> None:
    for name, text in PAGES.items():
        for path in re.findall(r"\]\(([\w./-]+)(?:#[\w.-]+)?\)", text):
            assert (ROOT / name).parent.joinpath(path).exists(), (name, path)


def test_the_page_of_methods_is_the_catalogue() -> None:
    assert PAGES["docs/methods.md"] == page(methods())


def test_the_constraints_are_possible() -> None:
    said = parse(yaml.safe_load(titled("my_rules.yaml").text), Constraints, file="mapping.md")
    check(said, load_machine("eyeriss_v1"), file="mapping.md")


def test_the_plan_in_yaml_loads() -> None:
    found = yaml.safe_load(titled("scenarios/my_scenario.yaml").text)
    found["compressed"] = yaml.safe_load(titled("part of a scenario").text)["compressed"]
    plan = parse(found, Scenario, file="docs").compressed.plan
    assert plan
    assert plan.keys() == {"classifier", "*"}


def test_the_front_loads(tmp_path: Path) -> None:
    path = tmp_path / "front.json"
    path.write_text(titled("front.json").text, encoding="utf-8")
    (point,) = points.read(path)
    assert point.settings == {"weight_bits": 6}


def test_the_space_loads(tmp_path: Path) -> None:
    file = tmp_path / "my_space.yaml"
    file.write_text(titled("spaces/my_space.yaml").text, encoding="utf-8")
    space, _ = load_space(str(file))
    assert space.size == 3 * 3 * 2


def test_the_network_runs() -> None:
    network = titled("models/my_network.py").executed()
    assert network.build()(torch.zeros(2, *network.INPUT_SHAPE)).shape == (2, 10)


def test_the_compressor_zeroes_the_smallest_weights() -> None:
    method = titled("compressors/my_method.py").executed()
    model = nn.Sequential(nn.Linear(8, 8))
    pruned = method.compress(copy.deepcopy(model), ["0"], method.Config(zeros=0.75), None)
    magnitudes = model.get_parameter("0.weight").detach().abs()
    kept = weight_of(pruned[0]) != 0
    assert int(kept.sum()) == 16
    assert magnitudes[~kept].max() <= magnitudes[kept].min()


def test_the_dataflow_has_a_mapping_that_fits() -> None:
    layer = Layer(name="conv", K=24, C=20, P=13, Q=11, R=3, S=3).at_bits(
        ifmap=16, weight=16, ofmap=16, psum=32
    )
    machine = load_machine("eyeriss_v1")
    offered = list(titled("hwsim/dataflows/my_dataflow.py").executed().mappings(layer, machine))
    assert len(offered) == 2
    for mapping in offered:
        validate(mapping, layer, machine)


def test_the_data_set_loads() -> None:
    found = titled("data/my_images.py").executed().load(limit=10)
    assert found.images.shape == (10, 1, 32, 32)
    assert found.labels.shape == (10,)
    assert found.calibration.shape == (16, 1, 32, 32)


def test_the_plot_draws() -> None:
    draw = hook(titled("plots/my_plot.py").executed(), "draw")
    assert draw(example(next(iter(EXAMPLES.values())))).axes  # type: ignore[attr-defined]


def test_the_published_number_is_met() -> None:
    file = titled("hwsim/validation/my_chip.py").executed()
    found = tuple(file.rows())
    assert all(target.met(found) for target in file.TARGETS)


def test_the_subjects_named_can_be_validated() -> None:
    for command in COMMANDS:
        if command.words[1:2] == ("validate",):
            named = [word for word in command.words[2:] if word.isidentifier() and word != "docs"]
            assert set(named) <= set(names("validation"))
