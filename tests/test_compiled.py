"""Compiled code on disk belongs to one version of all that it was compiled from."""

from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from hwsim import _compiled, _nest
from hwsim.search import ways

ROOT = Path(_compiled.__file__).parent


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of hwsim's sources, which the digest is then of."""
    copy = copytree(ROOT, tmp_path / "hwsim", ignore=lambda *_: ["__pycache__", "accelerators"])
    monkeypatch.setattr(_compiled, "files", lambda _: Path(copy))
    _compiled.code_digest.cache_clear()
    yield Path(copy)
    _compiled.code_digest.cache_clear()


@pytest.mark.parametrize("name", ["search/ways.py", "search/problem.py", "_nest.py", "workload.py"])
def test_another_version_of_any_source_has_a_folder_of_its_own(package: Path, name: str) -> None:
    before = _compiled.folder()
    file = package / name
    file.write_text(file.read_text() + "\nMORE = 1\n")
    _compiled.code_digest.cache_clear()
    assert _compiled.folder() != before
    assert _compiled.folder().parent == before.parent


def test_a_source_without_compiled_code_has_not(package: Path) -> None:
    before = _compiled.folder()
    (package / "report.py").write_text("")
    _compiled.code_digest.cache_clear()
    assert _compiled.folder() == before


def test_functions_are_kept_in_that_folder() -> None:
    functions: tuple[Any, ...] = (ways.tiles_of, _nest._run_end)
    for function in functions:
        assert Path(function.stats.cache_path).is_relative_to(_compiled.folder())


def test_all_compiled_code_is_kept_so() -> None:
    sources = {file: file.read_text() for file in ROOT.rglob("*.py")}
    assert [file.name for file, text in sources.items() if "njit" in text] == ["_compiled.py"]


def test_the_environment_names_the_folder_above(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert _compiled.folder().parent == tmp_path
