"""Run by the Python of accelforge's environment: maps a layer or judges a mapping, prints JSON.

Reads {"arch", "workload": texts of its files, "mapping": text of one or "" to search}. Its search
draws the mapping it evaluates with a program that may be absent, so it is asked not to evaluate.
"""

import contextlib
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import accelforge
from accelforge.mapper.FFM.main import map_workload_to_arch

KEPT = ("tensors", "component", "rank_variable", "tile_shape", "name")


def judge(texts: list[str], folder: Path) -> dict[str, Any]:
    """What its model says of a mapping: energy, latency and every action count."""
    said = _spec(texts, folder).evaluate_mapping()
    row = {tuple(str(key).split("<SEP>")): value for key, value in said.data.iloc[0].items()}
    return {
        "energy_pj": float(said.energy()) * 1e12,
        "seconds_of_machine": float(said.latency()),
        "actions": [[*key[2:], float(row[key])] for key in row if key[1:2] == ("action",)],
    }


def search(texts: list[str], folder: Path) -> dict[str, Any]:
    """The mapping of least energy that it finds, as plain nodes, and processor seconds."""
    spec = _spec(texts, folder)
    spec.mapper.metrics = accelforge.Metrics.ENERGY
    start = time.process_time()
    found = map_workload_to_arch(spec, print_progress=False, eval_in_detail=False)
    seconds = time.process_time() - start
    nodes = found.data.iloc[0]["Total<SEP>mapping"]().nodes
    return {"seconds": seconds, "nodes": [_node(node) for node in nodes]}


def _node(node: Any) -> dict[str, Any]:
    kept = {key: getattr(node, key) for key in KEPT if getattr(node, key, None) is not None}
    plain = {
        key: value if isinstance(value, int | list) else str(value) for key, value in kept.items()
    }
    return {"kind": type(node).__name__} | plain


def _spec(texts: list[str], folder: Path) -> Any:
    paths = [folder / f"{index}.yaml" for index in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    return accelforge.Spec.from_yaml(*map(str, paths))


def main() -> None:
    """Answers the question on standard input; what accelforge prints goes to standard error."""
    question = json.load(sys.stdin)
    accelforge.set_n_parallel_jobs(1)
    texts = [question["arch"], question["workload"]]
    with TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        if question["mapping"]:
            answer = judge([*texts, question["mapping"]], Path(folder))
        else:
            answer = search(texts, Path(folder))
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
