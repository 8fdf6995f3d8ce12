"""Run by the Python of ZigZag's environment: maps one layer and prints what it found as JSON.

Reads {"workload", "accelerator", "mapping": records of ZigZag's three files, "settings": keyword
arguments of its search}. Its command line is broken in 3.9.1, hence its API.
"""

import contextlib
import json
import logging
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from zigzag.api import get_hardware_performance_zigzag


def search(question: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Runs the search; the mapping in the form that `hwsim.interchange.zigzag` reads."""
    paths = {name: str(folder / f"{name}.yaml") for name in ("workload", "accelerator", "mapping")}
    for name, path in paths.items():
        Path(path).write_text(yaml.safe_dump(question[name], sort_keys=False), encoding="utf-8")
    logging.disable(logging.WARNING)
    start = time.perf_counter()
    energy_pj, cycles, results = get_hardware_performance_zigzag(
        **paths,
        dump_folder=str(folder / "out"),
        loma_show_progress_bar=False,
        **question["settings"],
    )
    seconds = time.perf_counter() - start
    found = results[0][1][0][0]
    return {
        "seconds": seconds,
        "energy_pj": energy_pj,
        "cycles": cycles,
        "spatial": _spatial(found),
        "temporal": {
            operand.name: [[[str(dim), size] for dim, size in loops] for loops in memories]
            for operand, memories in found.temporal_mapping.mapping_dic_origin.items()
        },
        "accesses": {
            operand.name: [{way.value: n for way, n in four.data.items()} for four in memories]
            for operand, memories in found.memory_word_access.items()
        },
    }


def _spatial(found: Any) -> dict[str, list[list[Any]]]:
    """Factors by axis, averaged ones as such; a dimension on both axes keeps its whole factors."""
    by_axis = {
        str(axis): [[str(dim), size] for dim, size in loops.items()]
        for axis, loops in found.layer.spatial_mapping.items()
    }
    used = [dim for loops in by_axis.values() for dim, _ in loops]
    memories = next(iter(found.spatial_mapping.mapping_dict_origin.values()))
    averaged = {str(dim): size for loops in memories for dim, size in loops}
    return {
        axis: [[dim, averaged[dim] if used.count(dim) == 1 else size] for dim, size in loops]
        for axis, loops in by_axis.items()
    }


def main() -> None:
    """Answers the question on standard input; what ZigZag prints goes to standard error."""
    question = json.load(sys.stdin)
    with TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        answer = search(question, Path(folder))
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
