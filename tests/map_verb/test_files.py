"""Mappings, other tools' forms of them, and plots on disk."""

from math import prod
from pathlib import Path
from typing import Any

import yaml

from hwsim.interchange import timeloop
from hwsim.layer_text import read, words
from hwsim.mapping import Mapping
from hwsim.reuse import access_counts
from hwsim.workload import TENSORS
from tests.map_verb.asking import EYERISS, SHAPE, SMALL, Invoke, complaints, saved


def test_the_folder_holds_mapping_and_plot(invoke: Invoke) -> None:
    result = invoke("--layer", SMALL, "--out", "there", "--samples", "20")
    assert result.exit_code == 0
    assert {path.name for path in Path("there").iterdir()} == {
        "mapping.yaml",
        "mapping_space.png",
        "mapping_space.svg",
    }
    assert "20 random mappings" not in result.stdout
    again = invoke("--layer", SMALL, "--out", "again", "--samples", "20")
    assert again.exit_code == 0
    for path in Path("there").iterdir():
        assert Path("again", path.name).read_bytes() == path.read_bytes()


def test_a_front_writes_each_mapping(invoke: Invoke) -> None:
    invoke("--layer", SMALL, "--out", "there", "--front", "--samples", "20")
    names = {path.name for path in Path("there").glob("*.yaml")}
    assert names == {"mapping_1.yaml", "mapping_2.yaml"}


def test_exported_mappings_read_back(invoke: Invoke) -> None:
    text = "K=8 C=4 P=6 Q=5"
    layer = read(words(text))
    records: list[dict[str, Any]] = [
        {"store": "DRAM", "tensors": list(TENSORS)},
        {"for": "K", "tile": 4},
        {"store": "GLB", "tensors": list(TENSORS)},
        {"for": "C", "tile": 1, "axis": "X"},
        {"for": "P", "tile": 2, "axis": "Y"},
        {"for": "Q", "tile": 1},
        {"store": "spad", "tensors": list(TENSORS)},
        {"for": "K", "tile": 1},
        {"for": "P", "tile": 1},
    ]
    own = saved(records)
    found = invoke(
        *("--layer", text, "--mapping", own, "--samples", "5"),
        *("--export", "timeloop", "--export", "zigzag"),
    )
    assert found.exit_code == 0, found.stderr
    folder = Path("results/layer_on_eyeriss_v1")
    written = yaml.safe_load((folder / "mapping.timeloop.yaml").read_text(encoding="utf-8"))
    mapping = timeloop.read(written["mapping"], layer, EYERISS)
    shared = EYERISS.shared
    assert access_counts(layer, mapping, shared=shared) == access_counts(
        layer, Mapping.from_yaml(records), shared=shared
    )
    (zigzag,) = yaml.safe_load((folder / "mapping.zigzag.yaml").read_text(encoding="utf-8"))
    assert zigzag["spatial_mapping"] == {"D1": ["C, 4"], "D2": ["OY, 3"]}
    assert prod(factor for _, factor in zigzag["temporal_ordering"]) == 8 * 2 * 5


def test_what_a_form_cannot_say_is_said(invoke: Invoke) -> None:
    (found,) = complaints(invoke("--layer", SHAPE, "--export", "timeloop"))
    assert found.startswith("--export timeloop: ")
    assert not Path("results").exists()
