"""Many questions: the same answers and the same error from any number of workers."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing import active_children, parent_process
from pathlib import Path
from time import sleep

import pytest

from hwsim import mapping_pool
from hwsim.errors import InputError, MappingError
from hwsim.found import Found, Question
from hwsim.mapping_cache import VARIABLE, MappingCache
from hwsim.mapping_pool import _pays, answers
from hwsim.simulate import search
from hwsim.workload import Layer
from tests.machines import machine
from tests.test_imports import ROOT

ASKED = [
    Question(layer=Layer(name=f"l{k}", K=k, C=3, P=4, Q=5, R=2, S=3), machine=machine(), effort=0)
    for k in (2, 3, 4, 5, 6)
]


def timeless(found: Sequence[Found]) -> list[Found]:
    """The answers, but for the time they took."""
    return [replace(each, seconds=0.0) for each in found]


def silent(number: int) -> None:
    """Nobody wants to know."""


def failing(question: Question) -> Found:
    """Refuses two layers, the first of them late."""
    if question.layer.name == "l3":
        sleep(0.3)
    if question.layer.name in {"l3", "l5"}:
        raise MappingError(f"layer {question.layer.name!r} fits nowhere")
    return search(question)


def defective(question: Question) -> Found:
    """Divides by zero."""
    return replace(search(question), evaluated=1 // 0)


def dying(question: Question) -> Found:
    """Ends the worker that runs it."""
    if parent_process():
        os._exit(1)
    return search(question)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No crew may start."""

    def refuse(*_: object) -> None:
        raise AssertionError("a crew was started")

    monkeypatch.setattr(mapping_pool, "_share_out", refuse)


class TestAnswers:
    def test_they_are_the_same_from_any_number_of_workers(self) -> None:
        expected = timeless([search(each) for each in ASKED])
        for workers in (1, 2, None):
            heard: list[int] = []
            found = answers(ASKED, search, workers=workers, done=heard.append)
            assert timeless(found) == expected
            assert sorted(heard) == [0, 1, 2, 3, 4]
        assert not active_children()

    def test_what_a_crew_finds_is_kept(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(VARIABLE, str(tmp_path))
        found = answers(ASKED, search, workers=2, done=silent)
        assert not any(each.cached for each in found)
        assert [MappingCache(tmp_path).find(each) for each in ASKED] == found

    @pytest.mark.usefixtures("alone")
    def test_what_is_known_needs_no_crew(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(VARIABLE, str(tmp_path))
        first = answers(ASKED, search, workers=1, done=silent)
        heard: list[int] = []
        second = answers(ASKED, failing, workers=2, done=heard.append)
        assert second == first
        assert all(each.cached for each in second)
        assert heard == [0, 1, 2, 3, 4]

    def test_none_to_no_questions(self) -> None:
        assert answers([], search, workers=2, done=silent) == []


class TestCrew:
    @pytest.mark.usefixtures("alone")
    @pytest.mark.parametrize("workers", [None, 1])
    def test_few_cheap_questions_need_none(self, workers: int | None) -> None:
        answers(ASKED, search, workers=workers, done=silent)

    @pytest.mark.usefixtures("alone")
    def test_a_single_question_needs_none(self) -> None:
        answers(ASKED[:1], search, workers=2, done=silent)

    def test_it_pays_where_it_saves_more_than_its_start(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(mapping_pool, "START_S", 1.5)
        assert not _pays([], left=50, crew=2)
        assert not _pays([60.0], left=50, crew=2)  # kernels were compiled
        assert not _pays([60.0, 0.05, 0.05], left=50, crew=2)  # saves 1.25 s
        assert _pays([60.0, 0.05, 0.05], left=50, crew=4)  # saves 1.9 s
        assert _pays([0.1, 1.0], left=4, crew=2)

    def test_none_is_started_within_a_worker(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(mapping_pool, "parent_process", lambda: "some process")
        assert mapping_pool._most_workers(None) == 1

    @pytest.mark.parametrize("workers", [0, -3])
    def test_at_least_one(self, workers: int) -> None:
        with pytest.raises(InputError, match=rf"workers = {workers}: must be at least 1"):
            answers(ASKED, search, workers=workers, done=silent)

    def test_what_it_leaves_when_it_dies_is_answered_here(self) -> None:
        found = answers(ASKED, dying, workers=2, done=silent)
        assert timeless(found) == timeless([search(each) for each in ASKED])


class TestErrors:
    @pytest.mark.parametrize("workers", [1, 2])
    def test_the_first_questions_error_is_raised(self, workers: int) -> None:
        with pytest.raises(MappingError) as error:
            answers(ASKED, failing, workers=workers, done=silent)
        assert str(error.value) == "layer 'l3' fits nowhere"
        assert not active_children()

    @pytest.mark.parametrize("workers", [1, 2])
    def test_a_defect_keeps_its_type(self, workers: int) -> None:
        with pytest.raises(ZeroDivisionError):
            answers(ASKED, defective, workers=workers, done=silent)


# A script as users write them: it would start itself anew in each worker, without end.
SCRIPT = """
from tests.test_mapping_pool import ASKED, answers, search
print("script")
print(len(answers(ASKED, search, workers=2, done=lambda number: None)))
"""


@pytest.mark.parametrize("form", ["file", "stdin"])
def test_a_script_needs_no_guard(tmp_path: Path, form: str) -> None:
    (tmp_path / "mine.py").write_text(SCRIPT, encoding="utf-8")
    script = str(tmp_path / "mine.py") if form == "file" else "-"
    said = subprocess.run(
        [sys.executable, script],
        input=SCRIPT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert (said.stdout, said.stderr) == ("script\n5\n", "")


def sleepy(question: Question) -> Found:
    """Answers three questions, and thinks long about the others."""
    if question.layer.name in {"l5", "l6"}:
        sleep(600)
    return search(question)


INTERRUPTED = """
from tests.test_mapping_pool import ASKED, answers, sleepy
try:
    answers(ASKED, sleepy, workers=2, done=lambda number: print(number, flush=True))
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.slow
@pytest.mark.parametrize("to_all", [True, False], ids=["to the group", "to the caller"])
def test_ctrl_c_ends_all_at_once_and_loses_no_answer(tmp_path: Path, to_all: bool) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        env=os.environ | {VARIABLE: str(tmp_path)},
        cwd=ROOT,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as caller:
        assert caller.stdout
        heard = {caller.stdout.readline() for _ in range(3)}
        (os.killpg if to_all else os.kill)(caller.pid, signal.SIGINT)
        # Which takes until the last worker, too, has closed both pipes.
        assert caller.communicate(timeout=10) == ("interrupted\n", "")
    assert heard == {"0\n", "1\n", "2\n"}
    assert sum(MappingCache(tmp_path).find(each) is not None for each in ASKED) == 3


@pytest.mark.slow
def test_workers_end_where_their_caller_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        env=os.environ | {VARIABLE: str(tmp_path)},
        cwd=ROOT,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as caller:
        assert caller.stdout
        assert caller.stdout.readline()
        caller.kill()
        caller.communicate(timeout=10)  # until the last worker has closed both pipes
