"""Points stream through executors into a store, once each, whatever dies in between."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from hwsim.errors import InputError
from hwsim.explore.crew import Processes, crew
from hwsim.explore.points import combination, drawn, grid
from hwsim.explore.run import Run, explore
from hwsim.explore.store import Selection, Store
from tests import cheap_points
from tests.cheap_points import MARKS, task

WIDE = {
    "parameters": {
        name: {"from": 1, "to": 10, "step": 1}
        for name in (
            "axes.X",
            "axes.Y",
            "clock_mhz",
            "DRAM.read_bits_per_cycle",
            "DRAM.write_bits_per_cycle",
            "technology.voltage",
        )
    }
}


class Inline(Executor):
    """Does at once what is submitted."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class Crewed:
    """A crew of an executor that never dies."""

    deaths: tuple[type[Exception], ...] = ()

    def __init__(self, executor: Executor, width: int = 2) -> None:
        self.executor, self.width = executor, width

    def renew(self) -> None:
        raise AssertionError


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(tmp_path / "points.sqlite")
    yield found
    found.close()


def rows(store: Store) -> list[tuple[Any, ...]]:
    query = 'SELECT "axes.X", "axes.Y", energy_pj, status FROM points ORDER BY 1, 2'
    return [tuple(row) for row in store._open.execute(query)]


EXPECTED = [(x, y, float(x * y), "ok") for x in (2, 3, 5) for y in (7, 11)]


AXES = {"a": (1, 2, 3), "b": ("x", "y"), "c": (True, False)}


class TestOrder:
    def test_the_grid_is_every_combination(self) -> None:
        found = list(grid(AXES))
        assert len(found) == 12 == len({str(each) for each in found})
        assert [combination(AXES, number) for number in range(12)] == found

    def test_draws_differ_and_begin_alike(self) -> None:
        found = list(drawn(AXES, count=100, seed=3))
        assert len(found) == 12 == len({str(each) for each in found})
        assert list(drawn(AXES, count=5, seed=3)) == found[:5]
        assert list(drawn(AXES, count=12, seed=4)) != found


class TestStream:
    def test_every_point_has_one_row(self, store: Store) -> None:
        with ThreadPoolExecutor(2) as pool:
            explore(Run.of(task(), store), Crewed(pool), evaluate=cheap_points.measured)
        assert rows(store) == EXPECTED

    def test_what_is_known_is_not_done_again(self, store: Store) -> None:
        run, crewed = Run.of(task(), store), Crewed(Inline())
        explore(run, crewed, evaluate=cheap_points.measured)
        explore(run, crewed, evaluate=cheap_points.deadly)
        wider = task(parameters={"axes.Y": (7, 11), "axes.X": (2, 3, 5, 6)})
        calls: list[int] = []

        def counted(blob: bytes, points: Any) -> Any:
            calls.append(len(points))
            return cheap_points.measured(blob, points)

        explore(Run.of(wider, store), crewed, evaluate=counted)
        assert sum(calls) == 2

    def test_looser_constraints_evaluate_what_they_admit(self, store: Store) -> None:
        strict, loose = (
            Run.of(task(constraints={"area_mm2": {"most": most}}), store) for most in (10, 14)
        )
        crewed = Crewed(Inline())
        explore(strict, crewed, evaluate=cheap_points.constrained)
        assert store.count(strict.family) == {"ok": 2, "excluded": 4}
        explore(loose, crewed, evaluate=cheap_points.constrained)
        assert store.count(strict.family) == {"ok": 5, "excluded": 1}
        of_strict = Selection(strict.family, strict.task.space.axes, strict.task.space.constraints)
        assert store.total(of_strict) == 2

    def test_a_million_points_begin_at_once_and_take_no_room(self, store: Store) -> None:
        run = Run.of(task(**WIDE), store)
        assert run.task.space.size == 10**6
        peaks = []
        for stop in (500, 2_000):
            begun = monotonic()

            def until(stage: str, done: int = 0, total: int = 0, stop: int = stop) -> None:
                if 0 < done <= 128:
                    assert monotonic() - begun < 5  # noqa: B023
                if done >= stop:
                    raise KeyboardInterrupt

            tracemalloc.start()
            with pytest.raises(KeyboardInterrupt):
                explore(run, Crewed(Inline()), progress=until, evaluate=cheap_points.measured)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert store.total(Selection(run.family, run.task.space.axes, {})) >= 2_000
        assert peaks[1] < 1.5 * peaks[0] + 2**20


class TestProcesses:
    def test_a_worker_that_dies_is_replaced(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(MARKS, str(tmp_path))
        with crew(workers=2) as members:
            explore(Run.of(task(), store), members, evaluate=cheap_points.deadly_once)
        assert (tmp_path / "killed").exists()
        assert rows(store) == EXPECTED

    @pytest.mark.slow
    def test_workers_that_always_die_are_given_up(self, store: Store) -> None:
        with (
            crew(workers=1) as members,
            pytest.raises(InputError, match="times in a row"),
        ):
            explore(Run.of(task(), store), members, evaluate=cheap_points.deadly)

    def test_there_must_be_some(self) -> None:
        with pytest.raises(InputError, match="workers = 0"):
            Processes(0)


SCRIPT = """
from pathlib import Path
from hwsim.explore.crew import crew
from hwsim.explore.run import Run, explore
from hwsim.explore.store import Store
from tests import cheap_points
if __name__ == "__main__":
    task = cheap_points.task(parameters={{"axes.X": {{"from": 1, "to": 12, "step": 1}},
                                          "axes.Y": {{"from": 1, "to": 10, "step": 1}}}})
    with crew(workers=2) as members:
        explore(Run.of(task, Store(Path({file!r}))), members, evaluate=cheap_points.noted)
"""


def _script(folder: Path) -> list[str]:
    file = folder / "run.py"
    file.write_text(SCRIPT.format(file=str(folder / "points.sqlite")), encoding="utf-8")
    return [sys.executable, str(file)]


def _kept(folder: Path) -> int:
    try:
        with sqlite3.connect(folder / "points.sqlite") as known:
            return int(known.execute("SELECT COUNT(*) FROM points").fetchone()[0])
    except sqlite3.Error:
        return 0


def _environment(folder: Path) -> dict[str, str]:
    marks = folder / "marks"
    marks.mkdir()
    return os.environ | {MARKS: str(marks), "PYTHONPATH": str(Path(__file__).parents[1])}


@pytest.mark.slow
class TestKilled:
    def test_kill_9_loses_what_was_in_flight_alone(self, tmp_path: Path) -> None:
        environment = _environment(tmp_path)
        first = subprocess.Popen(_script(tmp_path), env=environment)
        while _kept(tmp_path) < 20 and first.poll() is None:
            sleep(0.05)
        first.send_signal(signal.SIGKILL)
        first.wait()
        sleep(0.5)  # workers end with it
        done = len(list(Path(environment[MARKS]).iterdir()))
        kept = _kept(tmp_path)
        assert 20 <= kept <= done <= kept + 3 * 2 * 8
        subprocess.run(_script(tmp_path), env=environment, check=True, timeout=120)
        assert _kept(tmp_path) == 120
        again = len(list(Path(environment[MARKS]).iterdir()))
        assert again == 120 + done - kept

    def test_two_runs_share_a_store(self, tmp_path: Path) -> None:
        environment = _environment(tmp_path)
        both = [subprocess.Popen(_script(tmp_path), env=environment) for _ in range(2)]
        assert [each.wait(timeout=120) for each in both] == [0, 0]
        assert _kept(tmp_path) == 120


@pytest.mark.slow
class TestCluster:
    """A scheduler and workers of their own, on loopback."""

    def test_a_worker_that_dies_midway_loses_nothing(self, store: Store, tmp_path: Path) -> None:
        environment = _environment(tmp_path)
        os.environ[MARKS] = environment[MARKS]
        workers: list[subprocess.Popen[bytes]] = []
        address = f"tcp://127.0.0.1:{_free_port()}"
        scheduler = _dask("scheduler", environment, address)
        try:
            workers += [_dask("worker", environment, address) for _ in range(2)]
            self._kill_one_midway(store, address, workers, Path(environment[MARKS]))
        finally:
            for process in (*workers, scheduler):
                process.kill()
                process.wait()

    @staticmethod
    def _kill_one_midway(
        store: Store, address: str, workers: list[subprocess.Popen[bytes]], marks: Path
    ) -> None:
        numbers = {"from": 1, "to": 10, "step": 1}
        run = Run.of(task(parameters={"axes.X": numbers, "axes.Y": numbers}), store)

        def kill(stage: str, done: int = 0, total: int = 0) -> None:
            if done > 20 and workers[0].poll() is None:
                assert {mark.name.split(".")[1] for mark in marks.iterdir()} == {
                    str(worker.pid) for worker in workers
                }
                workers[0].kill()

        with crew(cluster=address) as members:
            until = monotonic() + 60
            while members.width < 2 and monotonic() < until:
                sleep(0.1)
            explore(run, members, progress=kill, evaluate=cheap_points.noted)
        assert workers[0].poll() is not None
        assert rows(store) == [
            (x, y, float(x * y), "ok") for x in range(1, 11) for y in range(1, 11)
        ]
        assert 100 <= len(list(marks.iterdir())) <= 100 + 2 * 3 * 2 * 8

    def test_one_of_its_own(self, store: Store) -> None:
        with crew(cluster="local:2") as members:
            explore(Run.of(task(), store), members, evaluate=cheap_points.measured)
        assert rows(store) == EXPECTED


def test_a_cluster_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwsim.explore.crew.CONNECT_S", 0.3)
    address = f"tcp://127.0.0.1:{_free_port()}"
    with (
        pytest.raises(InputError, match=f"--cluster {address}: no scheduler"),
        crew(cluster=address),
    ):
        pass
    for wrong in ("local:0", "local:x"):
        with pytest.raises(InputError, match="say local:N"), crew(cluster=wrong):
            pass


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _dask(role: str, environment: dict[str, str], address: str) -> subprocess.Popen[bytes]:
    module = (
        "distributed.cli.dask_scheduler" if role == "scheduler" else "distributed.cli.dask_worker"
    )
    own = ["--host", address] if role == "scheduler" else [address, "--nthreads", "1", "--no-nanny"]
    arguments = [sys.executable, "-m", module, *own, "--no-dashboard"]
    return subprocess.Popen(arguments, env=environment, stderr=subprocess.DEVNULL)
