"""Evaluations that cost nothing, importable by workers, for tests of what surrounds them."""

import os
import pickle
import signal
from collections.abc import Sequence
from pathlib import Path
from time import sleep

from hwsim.explore.evaluate import EXCLUDED, OK, Point, Row, Task
from hwsim.explore.space import Space, machine_contents

MARKS = "HWSIM_TEST_MARKS"


def task(**changes: object) -> Task:
    """A space of the Eyeriss chip without networks."""
    content = {
        "description": "cheap",
        "machine": "eyeriss_v1",
        "network": "alexnet",
        "parameters": {"axes.X": (2, 3, 5), "axes.Y": (7, 11)},
    }
    space = Space.model_validate(content | changes)
    return Task(space, machine_contents(space), {})


def measured(task: bytes, points: Sequence[Point]) -> list[Row]:
    """Energy, latency and area that follow from the sum and product of all numbers chosen."""
    return [_row(point) for point in points]


def _row(point: Point) -> Row:
    numbers = [float(value) for value in point.chosen.values() if not isinstance(value, str)]
    product = 1.0
    for number in numbers:
        product *= number
    row: Row = {"key": point.key, "status": OK, "reason": None, **point.chosen}
    return row | {"energy_pj": product, "latency_ms": 1 / product, "area_mm2": sum(numbers)}


def constrained(task: bytes, points: Sequence[Point]) -> list[Row]:
    """As `measured`, but that points too large are excluded."""
    limits = pickle.loads(task).space.constraints["area_mm2"]
    rows = measured(task, points)
    return [row if limits.admit(row["area_mm2"]) else _excluded(row) for row in rows]


def _excluded(row: Row) -> Row:
    unmeasured = {"energy_pj": None, "latency_ms": None}
    return row | unmeasured | {"status": EXCLUDED, "reason": "area_mm2"}


def noted(task: bytes, points: Sequence[Point]) -> list[Row]:
    """As `measured`, leaving a mark for each point in a folder, after a while."""
    for point in points:
        sleep(0.02)
        Path(os.environ[MARKS], f"{point.key}.{os.getpid()}.{id(point)}").touch()
    return measured(task, points)


def deadly_once(task: bytes, points: Sequence[Point]) -> list[Row]:
    """As `measured`; the first of all calls kills its process."""
    try:
        Path(os.environ[MARKS], "killed").touch(exist_ok=False)
    except FileExistsError:
        return measured(task, points)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def deadly(task: bytes, points: Sequence[Point]) -> list[Row]:
    """Kills its process."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError
