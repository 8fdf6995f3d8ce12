"""Runs, fronts and folders of results for tests of pages."""

import json
from pathlib import Path

from hwsim.report import Report, compare, to_json
from tests.example_report import example, example_side, layers

REPORT = example(layers(2))
OTHER = compare(
    REPORT.baseline,
    example_side(layers(2), bits=4, top1=0.9),
    scenario="example_int4",
    description="Made up, too",
    seed=0,
    images=10_000,
)
FRONT: list[dict[str, object]] = [
    {"label": "a", "energy_pj": 1e8, "latency_ms": 2.0, "accuracy": 0.9, "weight_bits": 4},
    {"label": "b <b>", "energy_pj": 2e8, "latency_ms": 3.0, "accuracy": 0.8, "area_mm2": 3.0},
]


def saved(folder: Path, report: Report | None, *, front: object = None) -> Path:
    """A folder of results."""
    folder.mkdir()
    if report:
        (folder / "report.json").write_text(to_json(report), encoding="utf-8")
    if front is not None:
        text = json.dumps({"schema_version": 1, "points": front})
        (folder / "front.json").write_text(text, encoding="utf-8")
    return folder
