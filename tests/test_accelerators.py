"""What every machine file offers, what the shipped ones say, and how bad ones are refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from hwsim.config import parse
from hwsim.errors import ConfigError, InputError, UnknownNameError
from hwsim.hardware import Accelerator, Memory, load_machine
from hwsim.registry import names, yaml_path
from hwsim.simulate import best_mapping
from hwsim.technology import (
    alu_pj,
    array_noc_pj_per_bit,
    memory_pj_per_bit,
    operation_pj,
)
from hwsim.workload import Layer, Op, Primitive

MACHINES = names("machine")
COMPONENTS = ("spad", "GLB", "DRAM")
ENERGY_OF = {"read": 0, "write": 1}


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> Accelerator:
    return load_machine(request.param)


def _bits(machine: Accelerator, tensor: str) -> int:
    mac = machine.mac
    return {"ifmap": mac.ifmap_bits, "weight": mac.weight_bits, "ofmap": mac.psum_bits}[tensor]


def _at_machine_width(machine: Accelerator, layer: Layer) -> Layer:
    bits = {tensor: _bits(machine, tensor) for tensor in ("ifmap", "weight")}
    return layer.at_bits(**bits, ofmap=bits["ifmap"], psum=machine.mac.psum_bits)


# Every machine


def test_it_says_what_it_is_and_where_its_numbers_come_from(machine: Accelerator) -> None:
    assert len(machine.description) > 20
    assert len(machine.source) > 20
    assert machine.mac.source
    assert all(memory.source for level in machine.levels for memory in level.memories)
    declares_control = machine.control.clock_pj_per_cycle or machine.control.leakage_mw
    assert bool(machine.control.source) == bool(declares_control)


def test_it_survives_json(machine: Accelerator) -> None:
    assert Accelerator.model_validate_json(machine.model_dump_json()) == machine


def test_it_bears_the_name_of_its_file(machine: Accelerator) -> None:
    assert yaml_path("machine", machine.name).stem == machine.name


def test_its_memories_hold_a_word_of_each_tensor(machine: Accelerator) -> None:
    for memory in (memory for level in machine.levels for memory in level.memories):
        words = [memory.element_bits(_bits(machine, tensor)) for tensor in memory.tensors]
        assert memory.usable_bits >= sum(words)


@pytest.mark.parametrize("direction", ENERGY_OF)
@pytest.mark.parametrize("tensor", ["ifmap", "weight", "ofmap"])
def test_memories_nearer_the_macs_cost_less(
    machine: Accelerator, tensor: str, direction: str
) -> None:
    energies = [
        memory_pj_per_bit(memory, machine.technology)[ENERGY_OF[direction]]
        for level in reversed(machine.levels)
        if (memory := level.memory(tensor)) is not None
    ]
    assert energies == sorted(energies)
    assert energies[-1] > 0  # a pad may be part of what the MAC costs


def test_its_levels_run_from_dram_to_pads(machine: Accelerator) -> None:
    order = [COMPONENTS.index(level.component) for level in machine.levels]
    assert order == sorted(order, reverse=True)


def test_its_arithmetic_and_wires_cost_energy(machine: Accelerator) -> None:
    each = operation_pj(
        machine,
        Primitive.MULTIPLY_ADD,
        ifmap_bits=machine.mac.ifmap_bits,
        weight_bits=machine.mac.weight_bits,
        psum_bits=machine.mac.psum_bits,
    )
    multiplies = Primitive.MULTIPLY_ADD in machine.mac.primitives
    assert 0 < alu_pj(machine, bits=8) < each or (each > 0 and not multiplies)
    assert all(array_noc_pj_per_bit(array, machine.technology) > 0 for array in machine.arrays)


@pytest.mark.parametrize(
    "layer",
    [
        Layer(name="conv", K=8, C=6, P=7, Q=5, R=3, S=2),
        Layer(name="depthwise", op=Op.CONV, G=8, P=6, Q=9, R=3, S=3, pad_h=1, pad_w=1),
        Layer(name="linear", op=Op.LINEAR, K=10, C=70),
        Layer(name="pool", op=Op.POOL, G=8, P=3, Q=4, R=2, S=2, stride_h=2, stride_w=2),
        Layer(name="one MAC", op=Op.LINEAR),
    ],
    ids=lambda layer: layer.name,
)
def test_it_runs_small_layers(machine: Accelerator, layer: Layer) -> None:
    _, cost = best_mapping(_at_machine_width(machine, layer), machine)
    assert cost.energy_pj > 0
    assert cost.cycles * machine.pes >= layer.operations


# The shipped machines say what was published


def _memory(machine: Accelerator, level: str, tensor: str) -> Memory:
    memory = machine.level(level).memory(tensor)
    assert memory is not None
    assert memory.capacity_bits is not None
    return memory


def _words(machine: Accelerator, level: str, tensor: str) -> float:
    memory = _memory(machine, level, tensor)
    return memory.usable_bits / memory.element_bits(_bits(machine, tensor))


@pytest.mark.parametrize("name", ["eyeriss_v1", "eyeriss_v1_int8"])
def test_eyeriss_is_the_published_organisation(name: str) -> None:
    """JSSC 2017: 168 PEs, 108 kB of GLB, pads of 12, 224 and 24 words, 33.6 GMAC/s at 1.0 V."""
    machine = load_machine(name)
    assert machine.arrays[0].axes == {"X": 14, "Y": 12}
    assert machine.pes == 168
    buffers = machine.level("GLB").memories
    kilobytes = [(memory.capacity_bits or 0) / 8192 for memory in buffers]
    assert kilobytes == [100, 8]
    assert sum(kilobytes) == 108
    assert [_words(machine, "spad", t) for t in ("ifmap", "weight", "ofmap")] == [12, 224, 24]
    assert machine.pes * machine.clock_mhz / 1e3 == pytest.approx(33.6)
    assert machine.arrays[0].bus_bits_per_cycle == {"ifmap": 16, "weight": 64, "ofmap": 64}
    link = machine.levels[0].memories[0]
    assert link.read_bits_per_cycle == pytest.approx(64 * 60 / machine.clock_mhz)
    assert link.shared_port


def test_eyeriss_has_the_sram_of_the_chip() -> None:
    """JSSC 2017: 181.5 kB of SRAM on chip, in the GLB and the filter pads."""
    machine = load_machine("eyeriss_v1")
    glb = sum(memory.capacity_bits or 0 for memory in machine.level("GLB").memories)
    weights = machine.pes * (_memory(machine, "spad", "weight").capacity_bits or 0)
    assert (glb + weights) / 8192 == 181.5


def test_eyeriss_filter_buffer_holds_every_published_pass() -> None:
    """JSSC 2017, table III: p q S x R r t filter words of one pass; CONV1's are the most."""
    passes = {"CONV1": 16 * 1 * 11 * 11 * 2, "CONV2": 16 * 2 * 5 * 5, "CONV3": 16 * 4 * 3 * 3 * 4}
    assert max(passes.values()) <= _words(load_machine("eyeriss_v1"), "GLB", "weight")


def test_eyeriss_int8_narrows_words_and_nothing_else() -> None:
    wide, narrow = load_machine("eyeriss_v1"), load_machine("eyeriss_v1_int8")
    assert (narrow.mac.ifmap_bits, narrow.mac.weight_bits, narrow.mac.psum_bits) == (8, 8, 24)
    assert narrow.clock_mhz == wide.clock_mhz
    assert narrow.technology == wide.technology
    assert narrow.arrays[0].axes == wide.arrays[0].axes
    for tensor in ("ifmap", "ofmap", "weight"):
        sizes = {_memory(m, "GLB", tensor).capacity_bits for m in (wide, narrow)}
        assert len(sizes) == 1
    fmaps = _memory(narrow, "GLB", "ifmap")
    assert [fmaps.element_bits(bits) for bits in (8, 24)] == [8, 24]


def test_the_systolic_array_is_scale_sims() -> None:
    """ISPASS 2020: 32 x 32 PEs of one weight each, three memories of 64 kB."""
    machine = load_machine("systolic_ws")
    assert machine.arrays[0].axes == {"X": 32, "Y": 32}
    assert [_memory(machine, "GLB", t).capacity_bits for t in ("ifmap", "weight", "ofmap")] == [
        64 * 8192
    ] * 3
    assert _words(machine, "pad", "weight") == 1


def test_the_systolic_accumulators_are_tpus_share() -> None:
    """ISCA 2017: 4 MiB for 256 x 256 PEs."""
    machine = load_machine("systolic_ws")
    share = machine.pes / (256 * 256)
    assert _memory(machine, "GLB", "ofmap").capacity_bits == 4 * 2**20 * 8 * share


def test_isca2016_is_in_units_of_a_mac() -> None:
    """Table IV: DRAM 200, GLB 6, inter-PE 2, RF 1, MAC 1 per 16-bit word; 256 PEs."""
    machine = load_machine("isca2016_normalised")
    energies = [
        16 * memory_pj_per_bit(level.memories[0], machine.technology)[0] for level in machine.levels
    ]
    assert energies == [200, 6, 1]
    assert 16 * array_noc_pj_per_bit(machine.arrays[0], machine.technology) == 2
    each = operation_pj(
        machine, Primitive.MULTIPLY_ADD, ifmap_bits=16, weight_bits=16, psum_bits=16
    )
    assert each == 1
    assert machine.pes == 256
    buffer_bits, register_bits = (
        _memory(machine, level, "weight").capacity_bits for level in ("GLB", "RF")
    )
    assert (buffer_bits, register_bits) == (128 * 8192, 512 * 8)


def test_the_zero_skipping_machine_is_eyeriss_with_words_of_12_bits() -> None:
    """JETCAS 2019, Table II: a word of 8 bits bears a count of 4. All else is the 8-bit sibling."""
    narrow, able = load_machine("eyeriss_v1_int8"), load_machine("zero_skipping")
    assert able.arrays == narrow.arrays
    assert able.technology == narrow.technology
    assert able.mac.zero_skipping == ("ifmap", "weight")
    for tensor in ("ifmap", "weight", "ofmap"):
        assert _words(able, "spad", tensor) == _words(narrow, "spad", tensor)
        assert _memory(able, "GLB", tensor) == _memory(narrow, "GLB", tensor)
    assert [_memory(able, "spad", t).element_bits(8) for t in ("ifmap", "weight")] == [12, 12]


# Files that are wrong


def _memory_record(content: dict[str, Any]) -> dict[str, Any]:
    record: dict[str, Any] = content["hierarchy"][1]["memories"][0]
    return record


def _misspelt(content: dict[str, Any]) -> None:
    _memory_record(content)["capacity_bit"] = _memory_record(content).pop("capacity_bits")


def _top_misspelt(content: dict[str, Any]) -> None:
    content["clock_mz"] = content.pop("clock_mhz")


def _setting(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda content: _memory_record(content).__setitem__(key, value)


def _format(form: object) -> Callable[[dict[str, Any]], None]:
    return _setting("formats", {"weight": form})


def _top_setting(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda content: content.__setitem__(key, value)


def _precision(widths: dict[str, list[int]]) -> Callable[[dict[str, Any]], None]:
    return _top_setting("mac", {"precision": {"widths": widths}})


def _axes(axes: dict[str, object]) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["hierarchy"][2].__setitem__("axes", axes)


def _array_setting(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["hierarchy"][2].__setitem__(key, value)


@pytest.mark.parametrize(
    ("spoil", "key", "parts"),
    [
        (_misspelt, "capacity_bit", ["unknown key", "did you mean 'capacity_bits'"]),
        (_top_misspelt, "clock_m", []),
        (_setting("capacity_bits", -4096), "capacity_bits", ["-4096", "greater than 0"]),
        (_setting("capacity_bits", 2**60), "capacity_bits", [str(2**60)]),
        (_setting("capacity_bits", "large"), "capacity_bits", ["'large'", "integer"]),
        (_setting("slot_bits", 0), "slot_bits", ["= 0"]),
        (_setting("tensors", ["ifmaps"]), "tensors", ["'ifmaps'"]),
        (_setting("cell", "flash"), "cell", ["'flash'", "sram"]),
        (_setting("buffering", "tripel"), "buffering", ["'tripel'", "double"]),
        (_setting("read_pj_per_bit", float("nan")), "read_pj_per_bit", ["nan"]),
        (_setting("read_bits_per_cycle", 0), "read_bits_per_cycle", ["= 0"]),
        (_format("blok"), "formats.weight = 'blok'", ["'bitmap'", "'block'"]),
        (_format("block"), "formats.weight", ["'block'", "needs block = (rows, columns)"]),
        (_format({"storage": "csr", "blok": 3}), "formats.weight.blok", ["= 3", "did you mean"]),
        (_format({"storage": "crs"}), "formats.weight.storage", ["'crs'", "'csr'"]),
        (_format({"block": [4, 4]}), "formats.weight.storage", ["required"]),
        (_format({"storage": "block", "block": [0, 4]}), "formats.weight", ["block = (0, 4)"]),
        (_format({"storage": "block", "block": [4]}), "formats.weight.block", ["required"]),
        (_format({"storage": "csr", "shape": [4, 4]}), "formats.weight", ["shape", "each layer"]),
        (
            _format({"storage": "relative_index", "index_bits": 40}),
            "formats.weight",
            ["index_bits = 40", "1..16"],
        ),
        (_setting("decoders", {"weight": ["lz4"]}), "decoders.weight.0", ["'lz4'", "'huffman'"]),
        (_setting("decoders", {"ifmap": ["huffman"]}), "decoders.ifmap", ["'weight'"]),
        (_precision({"weight": [8, 4]}), "mac.precision.widths", ["weight: widths must grow"]),
        (_precision({"weight": [2, 4]}), "mac.precision.widths.weight", ["weight_bits = 16"]),
        (_top_setting("mac", {"primitives": []}), "mac.primitives", ["at least 1"]),
        (
            _top_setting("mac", {"primitives": ["add"], "precision": {"widths": {"weight": [16]}}}),
            "mac.primitives",
            ["only multiply_add has a precision"],
        ),
        (_axes({"X": 0, "Y": 12}), "axes.X", ["= 0"]),
        (_axes({"X": 2**51, "Y": 12}), "axes.X", [str(2**51)]),
        (_axes({"X": 14, "Y": "twelve"}), "axes.Y", ["'twelve'"]),
        (_axes({}), "axes", []),
        (_array_setting("bus_bits_per_cycle", {"psum": 64}), "bus_bits_per_cycle", ["psum"]),
        (_array_setting("multicast", ["weigth"]), "multicast", ["'weigth'"]),
        (_top_setting("dataflow", "row_stationery"), "dataflow", ["'row_stationary'"]),
        (_top_setting("clock_mhz", -1), "clock_mhz", ["-1"]),
        (_top_setting("technology", {"node_nm": 28}), "technology.node_nm", ["28"]),
        (_top_setting("mac", {"primitives": ["xor"]}), "mac.primitives", ["'xor'"]),
        (_top_setting("mac", {"zero_skipping": ["psum"]}), "mac.zero_skipping.0", ["'psum'"]),
        (
            _top_setting("mac", {"sync_level": "spat"}),
            "mac.sync_level = 'spat'",
            ["did you mean 'spad'", "DRAM, GLB, spad"],
        ),
        (_top_setting("hierarchy", []), "hierarchy", []),
        (_top_setting("hierarchy", [{"level": "GLB"}, 3]), "hierarchy", []),
    ],
)
def test_a_wrong_value_is_one_line_with_file_key_and_value(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], None], key: str, parts: list[str]
) -> None:
    content = yaml.safe_load(yaml_path("machine", "eyeriss_v1").read_text(encoding="utf-8"))
    spoil(content)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_machine(str(path))
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    for part in (key, *parts):
        assert part in message


def test_two_axes_of_one_name_are_refused() -> None:
    content = load_machine("eyeriss_v1").model_dump(mode="json")
    content["hierarchy"].append({"axes": {"X": 2}})
    with pytest.raises(ConfigError, match="two levels or two axes share a name"):
        parse(content, Accelerator, file="mine.yaml")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "must hold keys and values"),
        ("- a\n- b\n", "must hold keys and values"),
        ("description: [unclosed", "is not YAML"),
        ("description: !!python/object/apply:os.getcwd []", "is not YAML"),
    ],
)
def test_a_file_that_is_no_machine_is_one_line(tmp_path: Path, text: str, part: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=part) as caught:
        load_machine(str(path))
    assert "\n" not in str(caught.value)


def test_an_unknown_machine_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'eyeriss_v1'"):
        load_machine("eyeris_v1")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read"):
        load_machine(str(tmp_path / "none.yaml"))
