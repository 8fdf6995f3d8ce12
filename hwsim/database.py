"""SQLite files of hwsim: opened, made where there is none, refused where they are something else.

Writes go to a write-ahead log, so that a process killed at any moment leaves all that it committed
and others may read and write meanwhile.
"""

import sqlite3
from pathlib import Path
from time import sleep

from hwsim.errors import InputError

MAGIC = b"SQLite format 3\0"
BUSY_S = 60.0
LOG_TRIES = 50


def opened(file: Path, *, kind: int, version: int, schema: str) -> sqlite3.Connection:
    """The database in a file of this kind and version of a schema, which is made if there is none.

    `kind` is SQLite's application_id, a number of one's own below 2**31. Every statement is a
    transaction unless one is begun. Raises InputError, in one line, on a file of another kind or
    version, one that is damaged or cut short, and one that cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(file, isolation_level=None, timeout=BUSY_S)
    except (OSError, sqlite3.Error) as error:
        raise InputError(f"{file}: cannot be opened: {error}") from error
    try:
        _prepare(connection, file, kind=kind, version=version, schema=schema)
    except sqlite3.Error as error:
        connection.close()
        raise InputError(f"{file}: is damaged or no database: {error}") from error
    except InputError:
        connection.close()
        raise
    return connection


def is_database(file: Path) -> bool:
    """Whether a file is one of SQLite's, by its first bytes or its name."""
    with file.open("rb") as content:
        return content.read(len(MAGIC)) == MAGIC or file.suffix == ".sqlite"


def _prepare(
    connection: sqlite3.Connection, file: Path, *, kind: int, version: int, schema: str
) -> None:
    if not _number(connection, "schema_version"):
        _make(connection, kind=kind, version=version, schema=schema)
    found = _number(connection, "application_id"), _number(connection, "user_version")
    if found[0] != kind:
        raise InputError(f"{file}: is a database of another kind: name another file, or remove it")
    if found[1] != version:
        raise InputError(
            f"{file}: was written by another hwsim (version {found[1]} of its tables, this one "
            f"reads {version}): name another file, or remove it"
        )
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise InputError(f"{file}: is damaged or cut short: {' '.join(verdict.split())}")
    _log_ahead(connection)


def _make(connection: sqlite3.Connection, *, kind: int, version: int, schema: str) -> None:
    """All or nothing, by whoever comes first."""
    connection.execute("BEGIN IMMEDIATE")
    if not _number(connection, "schema_version"):
        connection.execute(f"PRAGMA application_id = {kind}")
        connection.execute(f"PRAGMA user_version = {version}")
        for statement in schema.split(";"):
            connection.execute(statement)
    connection.execute("COMMIT")


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Switches to the write-ahead log, for which nobody else may be writing."""
    for attempt in range(LOG_TRIES):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError:
            if attempt == LOG_TRIES - 1:
                raise
            sleep(0.05)
    connection.execute("PRAGMA synchronous = NORMAL")


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])
