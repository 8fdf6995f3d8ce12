"""ZigZag as a mapper: what it finds for a layer of ours on its Eyeriss-like machine."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.peers.environments import ZIGZAG, ask
from benchmarks.peers.zigzag_machine import Machine, machine_of
from benchmarks.peers.zigzag_rules import Verdict, judge
from hwsim.config import read_yaml
from hwsim.hardware import Accelerator, load_machine
from hwsim.interchange.zigzag import MEMORY_OPERANDS, NAMES, ZigZagMapping, from_result, rounded_up
from hwsim.mapping import Mapping
from hwsim.workload import Layer

HERE = Path(__file__).parent
AXES = {"X": "D1", "Y": "D2"}
BITS = {"ifmap": 8, "weight": 8, "ofmap": 8, "psum": 16}
SETTINGS = {"opt": "EDP", "lpf_limit": 6, "nb_spatial_mappings_generated": 3}


@dataclass(frozen=True, kw_only=True)
class Found:
    """What ZigZag says of its best mapping of a layer, and how long it took."""

    seconds: float
    energy_pj: float
    cycles: float
    nest: ZigZagMapping

    @property
    def edp(self) -> float:
        """pJ x cycles."""
        return self.energy_pj * self.cycles


@cache
def accelerator_records() -> dict[str, Any]:
    """ZigZag's machine, in its own format."""
    return read_yaml(HERE / "zigzag_eyeriss_like.yaml")


@cache
def machine() -> Accelerator:
    """The same machine as hwsim describes it."""
    return load_machine(str(HERE / "eyeriss_like.yaml"))


@cache
def their_machine() -> Machine:
    """The machine as ZigZag's rules take it."""
    return machine_of(accelerator_records())


def workload_records(layer: Layer) -> list[dict[str, Any]]:
    """A layer in ZigZag's workload format; groups of one are left out."""
    grouped = "g" if layer.G > 1 else ""
    dims = [dim for dim in NAMES if dim != "G" or grouped]
    return [
        {
            "id": 0,
            "name": "layer",
            "operator_type": "Conv",
            "equation": f"O[b][{grouped}][k][oy][ox]+=W[{grouped}][k][c][fy][fx]"
            f"*I[b][{grouped}][c][iy][ix]".replace("[]", ""),
            "dimension_relations": [
                f"ix={layer.stride_w}*ox+{layer.dilation_w}*fx",
                f"iy={layer.stride_h}*oy+{layer.dilation_h}*fy",
            ],
            "loop_dims": [NAMES[dim] for dim in dims],
            "loop_sizes": [layer.bounds[dim] for dim in dims],
            "pr_loop_dims": ["IX", "IY"],
            "pr_loop_sizes": [layer.W, layer.H],
            "padding": [[layer.pad_w, layer.pad_w], [layer.pad_h, layer.pad_h]],
            "operand_precision": {
                "W": layer.weight.bits,
                "I": layer.ifmap.bits,
                "O": layer.psum.bits,
                "O_final": layer.ofmap.bits,
            },
            "operand_source": {"I": 0, "W": 0},
        }
    ]


def search(layer: Layer, *, python: Path, limit_s: float) -> Found:
    """ZigZag's best mapping by EDP. Raises PeerError."""
    question = {
        "workload": workload_records(layer),
        "accelerator": accelerator_records(),
        "mapping": [{"name": "default", "memory_operand_links": MEMORY_OPERANDS}],
        "settings": SETTINGS,
    }
    answer = ask(ZIGZAG, question, python=python, limit_s=limit_s)
    return Found(
        seconds=answer["seconds"],
        energy_pj=answer["energy_pj"],
        cycles=answer["cycles"],
        nest=from_result(answer, axes=AXES),
    )


def verdict(layer: Layer, nest: ZigZagMapping) -> Verdict:
    """What ZigZag's rules say of a nest over our axes."""
    spatial = {AXES[axis]: factors for axis, factors in nest.spatial.items()}
    return judge(layer, ZigZagMapping(spatial, nest.temporal), their_machine())


def verdict_of(layer: Layer, mapping: Mapping) -> Verdict:
    """What ZigZag's rules say of a mapping of ours. Raises MappingError.

    Where tiles are ragged in time, of the least larger layer where they are not.
    """
    larger, nest = rounded_up(mapping, layer, machine())
    return verdict(larger, nest)
