"""The least of each objective for a fixed list of tiny layers and machines, written to a file.

    python -m tests.oracle_table /tmp/oracle.json --seed 0 --count 200

Each record has the `layer` and the `machine` as fields for their constructors (`read` calls them),
`size`, how many valid mappings there are, `seconds` to go through them, `least`, by objective its
value and a mapping as `Mapping.from_yaml` reads it, and `front`, [energy_pj, cycles, mapping] of
each point of the energy-latency Pareto front, fastest first.
"""

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer

from hwsim.hardware import Accelerator
from hwsim.workload import Layer, Op, Primitive, Tensor
from tests import exhaustive
from tests.tiny import Case, cases

MANY = 2000
RECORDS = ("ifmap", "weight", "ofmap", "psum")


def record(layer: Layer, machine: Accelerator) -> dict[str, Any]:
    """One case and its answers, in plain values."""
    begun = perf_counter()
    size = exhaustive.size(layer, machine)
    seconds = perf_counter() - begun
    return {
        "layer": layer_record(layer),
        "machine": machine.model_dump(mode="json"),
        "size": size,
        "seconds": round(seconds, 3),
        "least": {
            objective: {"value": value, "mapping": mapping.to_yaml()}
            for objective, (value, mapping) in exhaustive.least(layer, machine).items()
        },
        "front": [
            [energy_pj, cycles, mapping.to_yaml()]
            for energy_pj, cycles, mapping in exhaustive.front(layer, machine)
        ],
    }


def layer_record(layer: Layer) -> dict[str, Any]:
    """A layer's fields in plain values."""
    found = {field.name: getattr(layer, field.name) for field in fields(layer)}
    tensors = {name: {"bits": found[name].bits, "density": found[name].density} for name in RECORDS}
    return found | tensors | {"op": layer.op.value, "primitive": layer.primitive.value}


def read(path: Path) -> Iterator[tuple[Case, dict[str, Any]]]:
    """Each case of a file and its record."""
    for found in json.loads(path.read_text()):
        own = found["layer"]
        tensors = {name: Tensor(**own[name]) for name in RECORDS}
        kinds = {"op": Op(own["op"]), "primitive": Primitive(own["primitive"])}
        yield (Layer(**(own | tensors | kinds)), Accelerator(**found["machine"])), found


def main(path: Path, seed: Annotated[int, typer.Option()] = 0, count: int = 200) -> None:
    """Writes the table: half of it of any cases, half of some with many mappings."""
    many = cases(seed + 1, count // 2, fewest=MANY)
    found = [record(*case) for case in (*cases(seed, count - len(many)), *many)]
    path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
