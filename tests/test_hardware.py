"""Formats of tensors in a machine's memories, as its file states them."""

from dataclasses import replace

import pytest
import yaml

from hwsim.config import parse
from hwsim.hardware import Accelerator, Memory
from hwsim.registry import yaml_path
from hwsim.sparsity import Format
from hwsim.traffic import coded_bits
from hwsim.workload import Layer, Op, Storage


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("csc", Storage.CSC),
        (
            {"storage": "block", "block": [4, 2], "grouped": True},
            Format(storage=Storage.BLOCK, block=(4, 2), grouped=True),
        ),
        (
            {"storage": "relative_index", "index_bits": 5},
            Format(storage=Storage.RELATIVE_INDEX, index_bits=5),
        ),
    ],
)
def test_a_format_is_a_name_or_a_name_and_its_settings(written: object, read: object) -> None:
    content = yaml.safe_load(yaml_path("machine", "eyeriss_v1").read_text(encoding="utf-8"))
    content["hierarchy"][0]["memories"][0]["formats"] = {"weight": written}
    machine = parse(content, Accelerator, file="mine.yaml")
    assert machine.levels[0].memories[0].formats == {"weight": read}
    assert Accelerator.model_validate_json(machine.model_dump_json()) == machine


def test_a_block_format_codes_the_matrix_of_each_layer() -> None:
    """Filters of 12 and 60 weights: 3 x 6 whole blocks and 15 x 1 ragged ones, all non-zero."""
    memory = Memory(
        tensors=("weight",),
        cell="dram",
        formats={"weight": Format(storage=Storage.BLOCK, block=(4, 2), grouped=True)},
    )
    for layer in (
        Layer(name="conv", K=12, C=2, R=3, S=2, P=3),
        Layer(name="fc", op=Op.LINEAR, K=60, C=1),
    ):
        weight = replace(layer.weight, density=0.5)
        blocks = -(-layer.K // 4) * -(-layer.C * layer.R * layer.S // 2)
        bits = (blocks + 0.5 * blocks * 8 * 16) / layer.words("weight")
        found = coded_bits(replace(layer, weight=weight), memory, "weight")
        assert found == pytest.approx(min(bits, 16))
