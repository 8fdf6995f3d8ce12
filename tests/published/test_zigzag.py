"""ZigZag's accounting of fixed and of found mappings, to the last access and cycle."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.peers.zigzag_flow import Key
from benchmarks.peers.zigzag_machine import Machine, Way, machine_of
from benchmarks.peers.zigzag_rules import Verdict, judge
from hwsim.cost import cost
from hwsim.errors import MappingError
from hwsim.hardware import Accelerator, load_machine
from hwsim.interchange.zigzag import OPERANDS, ZigZagMapping, export, from_result, read
from hwsim.mapping import validate
from hwsim.technology import memory_pj_per_bit
from hwsim.workload import Layer

HERE = Path(__file__).parent
PEERS = HERE.parents[1] / "benchmarks" / "peers"
COMPLETE = HERE.parents[2] / "shared" / "reference" / "peers" / "zigzag"
PUBLISHED = yaml.safe_load((HERE / "zigzag.yaml").read_text(encoding="utf-8"))
CASES: dict[str, Any] = PUBLISHED["cases"]
WAYS = (Way.READ_DOWN, Way.WRITE_UP, Way.READ_UP, Way.WRITE_DOWN)
AXES = {"D1": "D1", "D2": "D2"}
# As far as sums of floats reach: every count is the same.
TOLERANCE = 1e-12


@dataclass(frozen=True)
class Case:
    """A layer on a machine, its nest, and what ZigZag says of it."""

    name: str
    layer: Layer
    machine: Machine
    nest: ZigZagMapping
    accesses: dict[Key, int]
    energy_pj: float
    time: list[float]


@cache
def eyeriss_like() -> Machine:
    """ZigZag's machine, in its own format."""
    text = (PEERS / "zigzag_eyeriss_like.yaml").read_text(encoding="utf-8")
    return machine_of(yaml.safe_load(text))


@cache
def in_bits() -> Accelerator:
    """The same machine as hwsim describes it."""
    return load_machine(str(PEERS / "eyeriss_like.yaml"))


def case(name: str) -> Case:
    """A case of the published file."""
    records = CASES[name]
    layer = Layer(name=name, **records["layer"])
    own = records.get("machine")
    return Case(
        name,
        layer.at_bits(ifmap=8, weight=8, ofmap=8, psum=16),
        machine_of(PUBLISHED["machines"][own]) if own else eyeriss_like(),
        from_result(records, axes=AXES),
        {
            (tensor, memory, way): count
            for tensor, operand in OPERANDS.items()
            for memory, counts in enumerate(records["accesses"][operand])
            for way, count in zip(WAYS, counts, strict=True)
            if count
        },
        records["energy_pj"],
        records["time"],
    )


def times(verdict: Verdict) -> list[float]:
    """Cycles by kind, as the published file lists them."""
    time = verdict.time
    return [time.computing, time.stall, time.onloading, time.offloading]


@pytest.mark.parametrize("name", CASES)
def test_every_access_and_cycle_is_zigzags(name: str) -> None:
    published = case(name)
    found = judge(published.layer, published.nest, published.machine)
    print(f"\n{name}: {found.energy_pj:.6e} pJ (ZigZag {published.energy_pj:.6e}), ", end="")
    print(f"{found.time.cycles} cycles (ZigZag {sum(published.time)}), ", end="")
    wrong = {key for key in published.accesses if published.accesses[key] != found.accesses[key]}
    print(f"{len(wrong)} of {len(published.accesses)} access counts differ")
    assert found.accesses == published.accesses
    assert found.energy_pj == pytest.approx(published.energy_pj, rel=TOLERANCE)
    assert times(found) == pytest.approx(published.time, rel=TOLERANCE)


@pytest.mark.parametrize("name", [name for name in CASES if "machine" not in CASES[name]])
def test_its_mappings_become_ours_and_come_back(name: str) -> None:
    """A mapping read from ZigZag is one of ours, and ZigZag's rules say the same of it.

    One is too large for hwsim, which keeps ofmaps on chip at the width of psums, finished or not,
    and padding like data: 7225344 bits instead of 3612672, and 3875328 instead of 3612672.
    """
    published, machine = case(name), in_bits()
    mine = ZigZagMapping(
        dict(zip("XY", published.nest.spatial.values(), strict=True)), published.nest.temporal
    )
    mapping = read(mine, published.layer, machine)
    if name == "mobilenet_v2 depthwise":
        with pytest.raises(MappingError, match=r"GLB: ifmap 3875328 . ofmap 7225344 bits exceed"):
            validate(mapping, published.layer, machine)
    else:
        validate(mapping, published.layer, machine)
    back = export(mapping, published.layer, machine)
    theirs = ZigZagMapping(dict(zip(AXES, back.spatial.values(), strict=True)), back.temporal)
    again = judge(published.layer, theirs, published.machine)
    ours = cost(published.layer, mapping, machine)
    print(f"\n{name}: ZigZag {again.energy_pj:.4e} pJ, {again.time.cycles:.0f} cycles; ", end="")
    print(f"hwsim {ours.energy_pj:.4e} pJ, {ours.cycles} cycles\n{mapping}")
    assert again.energy_pj == pytest.approx(published.energy_pj, rel=TOLERANCE)
    assert times(again) == pytest.approx(published.time, rel=TOLERANCE)


def test_both_descriptions_of_the_machine_agree() -> None:
    """Capacities, and energies of an access: of the port's bits, or of a psum in its pad."""
    theirs, ours = eyeriss_like(), in_bits()
    assert list(theirs.axes.values()) == list(ours.arrays[0].axes.values())
    assert theirs.mac_pj == ours.mac.multiply_add_pj
    for tensor, buffers in theirs.memories.items():
        mine = [level.memory(tensor) for level in reversed(ours.levels) if level.memory(tensor)]
        for buffer, memory in zip(buffers, mine, strict=True):
            assert memory is not None
            assert memory.capacity_bits in (None, buffer.bits)
            assert {port.bits for port in buffer.ports} == {memory.read_bits_per_cycle}
            assert memory.shared_port == (len(buffer.ports) == 1)
            bits = 16 if buffer.name == "rf_16B" else buffer.ports[0].bits
            each = [bits * pj for pj in memory_pj_per_bit(memory, ours.technology)]
            assert each == pytest.approx([buffer.read_pj, buffer.write_pj])


@pytest.mark.skipif(not COMPLETE.is_dir(), reason="the tool's complete outputs are not at hand")
@pytest.mark.parametrize("name", ["tiny_conv_exact", "eyeriss_resnet18_conv64_exact"])
def test_every_energy_of_the_complete_outputs(name: str) -> None:
    complete = json.loads((COMPLETE / f"{name}.json").read_text(encoding="utf-8"))
    published = case({"tiny_conv_exact": "tiny"}.get(name, "resnet18 fixed"))
    found = judge(published.layer, published.nest, machine_of(complete["inputs"]["accelerator"]))
    tensors = {operand: tensor for tensor, operand in OPERANDS.items()}
    energies = {
        (tensors[level["operand"]], level["level"], Way(way)): move["energy"]
        for level in complete["levels"]
        for way, move in level["moves"].items()
    }
    assert found.energies_pj == pytest.approx(energies, rel=TOLERANCE)
    assert found.time.cycles == complete["totals"]["latency"]
    assert found.edp == pytest.approx(complete["totals"]["edp"], rel=TOLERANCE)
