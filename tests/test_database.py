"""Files that are refused, each with one line, and one that several open at once."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from hwsim.database import opened
from tests.complaints import refused

SCHEMA = "CREATE TABLE things (name TEXT PRIMARY KEY); CREATE INDEX by_name ON things (name)"


def thing(file: Path, *, kind: int = 7, version: int = 1) -> sqlite3.Connection:
    return opened(file, kind=kind, version=version, schema=SCHEMA)


def filled(file: Path, count: int = 2000) -> Path:
    connection = thing(file)
    connection.executemany("INSERT INTO things VALUES (?)", [(f"{n:099}",) for n in range(count)])
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return file


def test_it_is_made_and_found_again(tmp_path: Path) -> None:
    file = filled(tmp_path / "new" / "things.sqlite", 3)
    again = thing(file)
    assert again.execute("SELECT COUNT(*) FROM things").fetchone() == (3,)
    assert again.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    again.close()


def test_another_version_is_refused(tmp_path: Path) -> None:
    file = filled(tmp_path / "things.sqlite", 3)
    refused(partial(thing, file, version=2), f"{file}: was written by another hwsim (version 1")


def test_another_kind_is_refused(tmp_path: Path) -> None:
    file = filled(tmp_path / "things.sqlite", 3)
    refused(partial(thing, file, kind=8), f"{file}: is a database of another kind")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_one_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    file = filled(tmp_path / "things.sqlite")
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    refused(partial(thing, file), f"{file}: is damaged")


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "things.sqlite"
    file.write_text("name,energy\n" * 500, encoding="utf-8")
    refused(partial(thing, file), f"{file}: is damaged or no database")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    refused(partial(thing, tmp_path), f"{tmp_path}: cannot be opened")


def test_many_may_make_it_at_once(tmp_path: Path) -> None:
    file = tmp_path / "things.sqlite"

    def write(name: str) -> None:
        connection = thing(file)
        connection.execute("INSERT INTO things VALUES (?)", (name,))
        connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, "abcdefgh"))
    found = thing(file)
    assert found.execute("SELECT COUNT(*) FROM things").fetchone() == (8,)
    found.close()
