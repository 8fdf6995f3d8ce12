"""accelforge as a mapper and as a judge of mappings of ours, on machine M45.

Its mappings are nests like ours. A store that it writes directly above a loop that changes the
tensor's tile holds one of that loop's tiles at a time, and reuses what windows share: `mapping_of`
moves such a store below the loop, and `mapping_text` back above it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.peers.environments import ACCELFORGE, ask
from hwsim.hardware import Accelerator, Array, Memory, MemoryLevel, load_machine
from hwsim.mapping import Loop, Mapping, Node, Store
from hwsim.technology import memory_pj_per_bit
from hwsim.workload import RELEVANT, Layer

TENSORS = {"ifmap": "In", "weight": "Wt", "ofmap": "Out"}
VARIABLES = {"N": "n", "G": "g", "K": "m", "C": "c", "P": "p", "Q": "q", "R": "r", "S": "s"}
DIMS = {variable: dim for dim, variable in VARIABLES.items()}
PLACE = "PE"


@cache
def machine() -> Accelerator:
    """M45; accelforge counts padding as data."""
    found = load_machine(str(Path(__file__).with_name("m45.yaml")))
    return found.model_copy(update={"stores_padding": True})


def arch_text(machine: Accelerator) -> str:
    """The machine as accelforge describes one; actions are 16-bit words."""
    lines = ["arch:", "  nodes:"]
    for part in machine.hierarchy:
        if isinstance(part, Array):
            axes = [{"name": axis, "fanout": size} for axis, size in part.axes.items()]
            lines.append(_tagged("Container", {"name": PLACE, "spatial": axes}))
        else:
            lines += [_tagged("Memory", record) for record in _memories(part, machine)]
    assert machine.mac.multiply_add_pj is not None
    compute = _action("compute", machine.mac.multiply_add_pj, machine.clock_mhz * 1e6)
    lines.append(_tagged("Compute", {"name": "MAC", **_free(), "actions": [compute]}))
    return "\n".join(lines)


def _tagged(tag: str, record: dict[str, Any]) -> str:
    return f"  - !{tag} {json.dumps(record)}"


def _free() -> dict[str, int]:
    return {"leak_power": 0, "area": 0}


def _action(name: str, energy_pj: float, a_second: float | str) -> dict[str, Any]:
    return {"name": name, "energy": energy_pj * 1e-12, "throughput": a_second}


def component(level: MemoryLevel, tensor: str) -> str:
    """The name of a tensor's memory: the level's, where all tensors share it."""
    return level.level if len(level.memories) == 1 else f"{level.level}_{tensor}"


def _memories(level: MemoryLevel, machine: Accelerator) -> Iterator[dict[str, Any]]:
    for memory in level.memories:
        names = " | ".join(TENSORS[tensor] for tensor in memory.tensors)
        must = level is machine.levels[0] or not memory.bypass
        yield {
            "name": component(level, memory.tensors[0]),
            "size": memory.capacity_bits or "inf",
            **_free(),
            "tensors": {"keep" if must else "may_keep": names},
            **_port(memory, machine),
        }


def _port(memory: Memory, machine: Accelerator) -> dict[str, Any]:
    """Actions of a word; where reads and writes share a port, they add up."""
    words = (memory.read_bits_per_cycle or 0) / 16 * machine.clock_mhz * 1e6
    actions = [
        _action(name, 16 * pj, words or "inf") | {"bits_per_action": 16}
        for name, pj in zip(
            ("read", "write"), memory_pj_per_bit(memory, machine.technology), strict=True
        )
    ]
    shared = {"total_latency": f"sum(a.n_calls for a in actions) / {words}"} if words else {}
    return {"actions": actions, **shared}


def workload_text(layer: Layer) -> str:
    """The layer as accelforge describes one, its ifmap padded."""
    bounds = layer.bounds
    sizes = {VARIABLES[dim].upper(): bounds[dim] for dim in "NGKCPQ"}
    rows = f"{layer.stride_h} * p + {layer.dilation_h} * r" if layer.R > 1 else "p"
    columns = f"{layer.stride_w} * q + {layer.dilation_w} * s" if layer.S > 1 else "q"
    plain = {"N": "n", "G": "g", "C": "c"}
    windows = {"H" if layer.R > 1 else "P": rows, "W" if layer.S > 1 else "Q": columns}
    output = {VARIABLES[dim].upper(): VARIABLES[dim] for dim in "NGKPQ"}
    weight = {VARIABLES[dim].upper(): VARIABLES[dim] for dim in "GKCRS"}
    accesses = [
        {"name": "In", "projection": plain | windows},
        {"name": "Wt", "projection": weight},
        {"name": "Out", "projection": output, "output": True},
    ]
    einsum = {
        "name": "layer",
        "tensor_accesses": accesses,
        "renames": {"input": "In", "weight": "Wt", "output": "Out"},
    }
    sizes |= {"R": bounds["R"], "S": bounds["S"]}
    bits = {"All": layer.ifmap.bits}
    records = {"rank_sizes": sizes, "bits_per_value": bits, "einsums": [einsum]}
    return json.dumps({"workload": records})


def mapping_text(layer: Layer, mapping: Mapping, machine: Accelerator) -> str:
    """A mapping as accelforge writes one; loops of one step are left out."""
    lines = ["mapping:", "  nodes:"]
    for node, trips in _raised(layer, mapping):
        if isinstance(node, Store):
            lines += _stores(node, machine)
        elif trips > 1:
            lines.append(_loop(node))
    lines.append(_tagged("Compute", {"einsum": "layer", "component": "MAC"}))
    return "\n".join(lines)


def _loop(loop: Loop) -> str:
    record = {"rank_variable": VARIABLES[loop.dim], "tile_shape": loop.tile}
    if loop.axis:
        return _tagged("Spatial", record | {"name": loop.axis, "component": PLACE})
    return _tagged("Temporal", record)


def _stores(store: Store, machine: Accelerator) -> Iterator[str]:
    level = machine.level(store.level)
    by_component: dict[str, list[str]] = {}
    for tensor in store.tensors:
        by_component.setdefault(component(level, tensor), []).append(TENSORS[tensor])
    for name, tensors in by_component.items():
        yield _tagged("Storage", {"tensors": tensors, "component": name})


def _raised(layer: Layer, mapping: Mapping) -> list[tuple[Node, int]]:
    """Nodes with their trips, stores moved outwards as far as they hold one tile at a time.

    There accelforge sees that loops in between leave the tile alone, or slide a window. Spatial
    loops make way, as they may for temporal ones of other dimensions.
    """
    trips = iter(mapping.trips(layer))
    found: list[tuple[Node, int]] = []
    for node in mapping:
        if isinstance(node, Store):
            for tensor in node.tensors:
                found.insert(_place(found, tensor), (Store(node.level, (tensor,)), 0))
        else:
            found.insert(_place(found, node.dim) if node.axis else len(found), (node, next(trips)))
    return found


def _place(outside: list[tuple[Node, int]], moved: str) -> int:
    """Where a tensor's store, or a dimension's spatial loop, goes among the nodes outside it."""
    place, slid = len(outside), False
    while place and isinstance(outside[place - 1][0], Loop):
        loop = outside[place - 1][0]
        assert isinstance(loop, Loop)
        if loop.axis or loop.dim == moved:
            break
        if moved in TENSORS and loop.dim in RELEVANT[moved]:
            if slid or moved != "ifmap" or loop.dim not in "PQ":
                break
            slid = True
        place -= 1
    return place


def mapping_of(nodes: list[dict[str, Any]], machine: Accelerator) -> Mapping:
    """The mapping in accelforge's nodes, its stores moved below loops that change their tile."""
    tensors = {name: tensor for tensor, name in TENSORS.items()}
    levels = {
        component(level, memory.tensors[0]): level.level
        for level in machine.levels
        for memory in level.memories
    }
    found: list[Node] = []
    for node in nodes:
        if node["kind"] == "Storage":
            names = (tensors[name] for name in node["tensors"])
            found += [Store(levels[node["component"]], (tensor,)) for tensor in names]
        elif node["kind"] in ("Temporal", "Spatial"):
            axis = node["name"] if node["kind"] == "Spatial" else None
            found.append(Loop(DIMS[node["rank_variable"]], int(node["tile_shape"]), axis))
    return Mapping(tuple(_sunk(found, machine)))


def _sunk(nodes: list[Node], machine: Accelerator) -> list[Node]:
    """Stores below the outermost level moved past loops directly inside that change their tile."""
    found = list(nodes)
    for start in range(len(found) - 1, -1, -1):
        place, node = start, found[start]
        if not isinstance(node, Store) or node.level == machine.levels[0].level:
            continue
        while place + 1 < len(found) and _passes(node, found[place + 1]):
            found[place], found[place + 1] = found[place + 1], found[place]
            place += 1
    return found


def _passes(store: Store, node: Node) -> bool:
    if isinstance(node, Store):
        return False
    return not node.axis and node.dim in RELEVANT[store.tensors[0]]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What accelforge's model says: `actions` counts 16-bit words by (memory, tensor, action)."""

    energy_pj: float
    cycles: float
    actions: dict[tuple[str, str, str], float]


def judge(layer: Layer, mapping: Mapping, *, python: Path, limit_s: float) -> Judged:
    """What accelforge's model says of a mapping of ours. Raises PeerError."""
    question = _question(layer) | {"mapping": mapping_text(layer, mapping, machine())}
    answer = ask(ACCELFORGE, question, python=python, limit_s=limit_s)
    return Judged(
        energy_pj=answer["energy_pj"],
        cycles=answer["seconds_of_machine"] * machine().clock_mhz * 1e6,
        actions={(name, tensor, way): count for name, tensor, way, count in answer["actions"]},
    )


def search(layer: Layer, *, python: Path, limit_s: float) -> tuple[Mapping, float]:
    """accelforge's mapping of least energy, and its processor seconds. Raises PeerError."""
    answer = ask(ACCELFORGE, _question(layer) | {"mapping": ""}, python=python, limit_s=limit_s)
    return mapping_of(answer["nodes"], machine()), answer["seconds"]


def _question(layer: Layer) -> dict[str, str]:
    return {"arch": arch_text(machine()), "workload": workload_text(layer)}
