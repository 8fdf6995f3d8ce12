"""The cache: what is found again is what was kept, to the byte, whatever befalls its files."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwsim.found import Found, Question
from hwsim.mapping import Loop, Mapping
from hwsim.mapping_cache import VARIABLE, MappingCache, answer, current, platform_folder
from hwsim.objective import value
from hwsim.simulate import best_mapping, search
from tests.eyeriss import EYERISS
from tests.machines import CONV, machine
from tests.test_imports import ROOT

ASKED = Question(layer=CONV, machine=machine(), effort=0)
OTHER = replace(ASKED, objective="energy")
FOUND = replace(search(ASKED), seconds=0.125)  # the same in every process


def files(folder: Path) -> list[Path]:
    """All files below, hidden ones too."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def counted() -> tuple[Callable[[Question], Found], list[Question]]:
    """A search, and what it has been asked."""
    heard: list[Question] = []

    def asked(question: Question) -> Found:
        heard.append(question)
        return search(question)

    return asked, heard


class TestHit:
    def test_from_memory_and_from_disk_it_equals_the_search(self, tmp_path: Path) -> None:
        cache = MappingCache(tmp_path)
        assert cache.find(ASKED) is None
        kept = cache.keep(ASKED, FOUND)
        for found in (cache.find(ASKED), MappingCache(tmp_path).find(ASKED)):
            assert found
            assert found.cached
            assert found == kept == FOUND
            assert repr(replace(found, cached=False)) == repr(kept) == repr(FOUND)

    def test_it_is_what_the_dataflow_finds(self, tmp_path: Path) -> None:
        MappingCache(tmp_path).keep(ASKED, FOUND)
        found = MappingCache(tmp_path).find(ASKED)
        assert found
        assert (found.mapping, found.cost) == best_mapping(CONV, machine())
        assert found.value == value("edp", found.cost.energy_pj, found.cost.cycles)

    def test_another_name_is_the_same_question(self, tmp_path: Path) -> None:
        MappingCache(tmp_path).keep(ASKED, FOUND)
        renamed = machine().model_copy(update={"name": "other", "description": "too"})
        other = replace(ASKED, layer=replace(CONV, name="other"), machine=renamed)
        assert MappingCache(tmp_path).find(other) == FOUND

    @pytest.mark.parametrize(
        "other",
        [
            OTHER,
            replace(ASKED, machine=EYERISS),
            replace(ASKED, layer=CONV.at_bits(ifmap=8, weight=16, ofmap=16, psum=16)),
            replace(ASKED, effort=9),
        ],
        ids=["objective", "machine", "bits", "effort"],
    )
    def test_another_question_is_a_miss(self, tmp_path: Path, other: Question) -> None:
        cache = MappingCache(tmp_path)
        cache.keep(ASKED, FOUND)
        assert cache.find(other) is None

    def test_numbers_of_numpy_come_back_plain_the_first_time_too(self, tmp_path: Path) -> None:
        number: Any = np.int64
        nodes = (
            replace(node, tile=number(node.tile)) if isinstance(node, Loop) else node
            for node in FOUND.mapping
        )
        odd = replace(FOUND, mapping=Mapping(tuple(nodes)), evaluated=number(FOUND.evaluated))
        assert repr(MappingCache(tmp_path).keep(ASKED, odd)) == repr(FOUND)

    def test_a_search_runs_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(VARIABLE, str(tmp_path))
        asked, heard = counted()
        first, second = answer(ASKED, asked), answer(ASKED, asked)
        assert (first, first.cached) == (second, False)
        assert (second.cached, heard) == (True, [ASKED])

    def test_the_oldest_gives_way_in_memory(self) -> None:
        cache = MappingCache(None, most=2)
        asked = [replace(ASKED, layer=replace(CONV, K=k)) for k in (1, 2, 3)]
        for each in asked:
            cache.keep(each, FOUND)
        assert [cache.find(each) is None for each in asked] == [True, False, False]


class TestBudget:
    def test_an_answer_cut_short_is_for_the_same_budget_alone(self, tmp_path: Path) -> None:
        hasty = replace(ASKED, budget_s=0.5)
        cut = replace(FOUND, lower_bound=FOUND.value / 2)
        MappingCache(tmp_path).keep(hasty, cut)
        cache = MappingCache(tmp_path)
        assert cache.find(hasty) == cut
        assert cache.find(ASKED) is None
        assert cache.find(replace(ASKED, budget_s=1.0)) is None

    def test_a_proven_answer_is_for_all(self, tmp_path: Path) -> None:
        proven = replace(FOUND, lower_bound=FOUND.value)
        MappingCache(tmp_path).keep(replace(ASKED, budget_s=0.5), proven)
        cache = MappingCache(tmp_path)
        for budget_s in (None, 0.1, 0.5, 2.0):
            assert cache.find(replace(ASKED, budget_s=budget_s)) == proven

    def test_an_answer_without_a_budget_is_for_all(self, tmp_path: Path) -> None:
        loose = replace(FOUND, lower_bound=0.0)
        MappingCache(tmp_path).keep(ASKED, loose)
        assert MappingCache(tmp_path).find(replace(ASKED, budget_s=0.1)) == loose


class TestDamage:
    @pytest.mark.parametrize(
        "content", [b"", b"{", b"[]", b"\xff\xfe", b'{"found":{},"check":""}', b"null"]
    )
    def test_a_damaged_file_is_a_miss_and_is_written_anew(
        self, tmp_path: Path, content: bytes
    ) -> None:
        MappingCache(tmp_path).keep(ASKED, FOUND)
        (file,) = files(tmp_path)
        whole = file.read_bytes()
        file.write_bytes(content)
        cache = MappingCache(tmp_path)
        assert cache.find(ASKED) is None
        cache.keep(ASKED, FOUND)
        assert file.read_bytes() == whole

    @given(st.integers(0), st.integers(1, 255), st.booleans())
    @settings(
        max_examples=100,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    def test_no_damage_changes_an_answer(
        self, tmp_path: Path, place: int, change: int, cut: bool
    ) -> None:
        MappingCache(tmp_path).keep(ASKED, FOUND)
        (file,) = files(tmp_path)
        content = bytearray(file.read_bytes())
        place %= len(content)
        content[place] ^= change
        file.write_bytes(content[:place] if cut else content)
        assert MappingCache(tmp_path).find(ASKED) in (None, FOUND)

    def test_an_answer_in_another_ones_place_is_none(self, tmp_path: Path) -> None:
        MappingCache(tmp_path / "one").keep(ASKED, FOUND)
        MappingCache(tmp_path / "two").keep(OTHER, FOUND)
        (one,), (two,) = files(tmp_path / "one"), files(tmp_path / "two")
        two.write_bytes(one.read_bytes())
        assert MappingCache(tmp_path / "two").find(OTHER) is None


class TestFolder:
    def test_one_that_cannot_be_leaves_the_memory(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        cache = MappingCache(tmp_path / "file" / "folder")
        cache.keep(ASKED, FOUND)
        assert cache.find(ASKED) == FOUND
        assert files(tmp_path) == [tmp_path / "file"]

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write to any folder")
    def test_one_that_is_read_only_can_be_read(self, tmp_path: Path) -> None:
        MappingCache(tmp_path).keep(ASKED, FOUND)
        tmp_path.chmod(0o500)
        cache = MappingCache(tmp_path)
        cache.keep(OTHER, FOUND)
        assert (cache.find(ASKED), cache.find(OTHER)) == (FOUND, FOUND)
        assert len(files(tmp_path)) == 1

    def test_a_full_disk_leaves_nothing_behind(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "replace", full)
        cache = MappingCache(tmp_path)
        assert cache.keep(ASKED, FOUND) == cache.find(ASKED) == FOUND
        assert files(tmp_path) == []

    def test_off_keeps_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(VARIABLE, "off")
        asked, heard = counted()
        assert not answer(ASKED, asked).cached
        assert not answer(ASKED, asked).cached
        assert len(heard) == 2

    def test_the_environment_names_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(VARIABLE, str(tmp_path / "mine"))
        current().keep(ASKED, FOUND)
        assert len(files(tmp_path / "mine")) == 1

    @pytest.mark.skipif(sys.platform != "linux", reason="other platforms have other variables")
    def test_the_platform_names_it_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert platform_folder() == tmp_path / "hwsim" / "mappings"
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert platform_folder() == tmp_path / ".cache" / "hwsim" / "mappings"


WRITER = """
from tests.test_mapping_cache import ASKED, FOUND, MappingCache, Path, many, sys
print("begun", flush=True)
while True:
    for asked in many():
        MappingCache(Path(sys.argv[1])).keep(asked, FOUND)
"""


def many() -> list[Question]:
    """Questions that share an answer."""
    return [replace(ASKED, layer=replace(CONV, K=k)) for k in range(1, 20)]


def test_writers_may_be_two_and_may_be_killed(tmp_path: Path) -> None:
    """Whenever one looks, an answer is there whole, or not yet."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    try:
        for writer in writers:
            assert writer.stdout
            assert writer.stdout.readline() == b"begun\n"
        end = monotonic() + 1
        while monotonic() < end:
            assert all(MappingCache(tmp_path).find(each) in (None, FOUND) for each in many())
    finally:
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            writer.communicate()
    assert all(MappingCache(tmp_path).find(each) == FOUND for each in many())
