"""What became of every point: one SQLite table, a row a point, plain columns.

`points` holds the key, the status, what was chosen (a column for each parameter, of that name) and
what was measured, so that pandas or DuckDB read it as it is. Rows of equal `family` differ in what
was chosen alone: machines' files, layers, objective and code are the same. Several runs may write
at once.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import log
from pathlib import Path
from typing import Any, NamedTuple

from hwsim.cost import COMPONENTS
from hwsim.database import opened
from hwsim.errors import InputError
from hwsim.explore.evaluate import OK, Row
from hwsim.explore.fields import Value
from hwsim.explore.space import MAXIMISED, MEASURES, SETTINGS, Limits

FILE = "points.sqlite"
KIND, VERSION = 0x68777370, 1  # "hwsp"
LABELS = ("key", "family", "status", "reason")
MEASURED = (*MEASURES, *(f"{component}_pj" for component in COMPONENTS))
RESERVED = frozenset(name.lower() for name in (*LABELS, *MEASURED))
SCHEMA = f"""
CREATE TABLE points (
    key TEXT PRIMARY KEY, family TEXT NOT NULL, status TEXT NOT NULL, reason TEXT,
    {", ".join(f'"{name}"' for name in SETTINGS)},
    {", ".join(f'"{name}" REAL' for name in MEASURED)}
) WITHOUT ROWID;
CREATE INDEX by_family ON points (family, status)
"""
CHUNK = 10_000


class Selection:
    """Rows of a family: those of the values that parameters may take, within limits."""

    def __init__(
        self,
        family: str,
        axes: Mapping[str, Sequence[Value]],
        limits: Mapping[Any, Limits],
    ) -> None:
        clauses = ["family = ?", "status = ?"]
        self.arguments: list[Value] = [family, OK]
        for name, values in axes.items():
            clauses.append(f"{quoted(name)} IN ({', '.join('?' * len(values))})")
            self.arguments += values
        for name, limit in limits.items():
            for sign, bound in ((">=", limit.least), ("<=", limit.most)):
                if bound is not None:
                    clauses.append(f"{quoted(name)} {sign} ?")
                    self.arguments.append(bound)
        self.where = " AND ".join(clauses)


class Store:
    """The rows in a file. Raises InputError on one that is none, see `hwsim.database.opened`."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._open = opened(file, kind=KIND, version=VERSION, schema=SCHEMA)
        self._open.row_factory = sqlite3.Row
        self._open.create_function("log_of", 1, _log, deterministic=True)

    def close(self) -> None:
        """Leaves the file."""
        self._open.close()

    def add_columns(self, names: Iterable[str]) -> None:
        """Makes a column for each parameter that has none."""
        self._open.execute("BEGIN IMMEDIATE")
        known = self.columns()
        for name in names:
            if name not in known:
                self._open.execute(f"ALTER TABLE points ADD COLUMN {quoted(name)}")
        self._open.execute("COMMIT")

    def columns(self) -> list[str]:
        """The names of all columns."""
        return [row["name"] for row in self._open.execute("PRAGMA table_info(points)")]

    def families(self) -> list[str]:
        """The families of its rows."""
        return [row[0] for row in self._open.execute("SELECT DISTINCT family FROM points")]

    def find(self, key: str) -> Row | None:
        """The row of a point, if there is one."""
        row = self._open.execute("SELECT * FROM points WHERE key = ?", (key,)).fetchone()
        return dict(row) if row else None

    def keep(self, rows: Sequence[Row], family: str) -> None:
        """Keeps rows, all of them or none; what was kept under their keys gives way."""
        try:
            self._open.execute("BEGIN IMMEDIATE")
            for row in rows:
                columns = ", ".join(map(quoted, ("family", *row)))
                marks = ", ".join("?" * (len(row) + 1))
                statement = f"INSERT OR REPLACE INTO points ({columns}) VALUES ({marks})"
                self._open.execute(statement, (family, *row.values()))
            self._open.execute("COMMIT")
        except sqlite3.Error as error:
            if self._open.in_transaction:
                self._open.execute("ROLLBACK")
            raise InputError(f"{self.file}: cannot be written: {error}") from error

    def count(self, family: str) -> dict[str, int]:
        """How many rows of a family have each status."""
        found = self._open.execute(
            "SELECT status, COUNT(*) FROM points WHERE family = ? GROUP BY status", (family,)
        )
        return {row[0]: row[1] for row in found}

    def reasons(self, family: str, *, most: int) -> list["Reason"]:
        """Why rows of a family were not measured, what is said most often first."""
        found = self._open.execute(
            "SELECT status, reason, COUNT(*) FROM points WHERE family = ? AND reason IS NOT NULL "
            "GROUP BY status, reason ORDER BY COUNT(*) DESC, reason LIMIT ?",
            (family, most),
        )
        return [Reason(*row) for row in found]

    def rows(self, wanted: Selection, columns: Sequence[str]) -> Iterator[list[tuple[object, ...]]]:
        """The chosen columns of all rows, by key, in lists of at most CHUNK."""
        listed = ", ".join(map(quoted, columns))
        found = self._open.execute(
            f"SELECT {listed} FROM points WHERE {wanted.where} ORDER BY key", wanted.arguments
        )
        while chunk := found.fetchmany(CHUNK):
            yield [tuple(row) for row in chunk]

    def total(self, wanted: Selection) -> int:
        """How many rows a selection has."""
        query = f"SELECT COUNT(*) FROM points WHERE {wanted.where}"
        return int(self._open.execute(query, wanted.arguments).fetchone()[0])

    def by_value(self, wanted: Selection, parameter: str, measure: str) -> list["Group"]:
        """A measure by the values of a parameter, these in ascending order."""
        name, of = quoted(parameter), quoted(measure)
        query = (
            f"SELECT {name}, COUNT(*), AVG(log_of({of})), AVG(log_of({of}) * log_of({of})), "
            f"MIN({of}), MAX({of}) FROM points WHERE {wanted.where} AND {of} > 0 "
            f"GROUP BY {name} ORDER BY {name}"
        )
        return [Group(*row) for row in self._open.execute(query, wanted.arguments)]

    def best(self, wanted: Selection, parameter: str, value: Value, measure: str) -> Row:
        """Of the rows with a parameter's value the best of a measure, the first by key."""
        down = " DESC" * (measure in MAXIMISED)
        query = (
            f"SELECT * FROM points WHERE {wanted.where} AND {quoted(parameter)} = ? "
            f"ORDER BY {quoted(measure)}{down}, key LIMIT 1"
        )
        return dict(self._open.execute(query, (*wanted.arguments, value)).fetchone())


class Reason(NamedTuple):
    """Why so many points were not measured: a constraint, or what cannot be built or run."""

    status: str
    reason: str
    points: int


class Group(NamedTuple):
    """A measure over all rows with one value of a parameter; means are of its logarithm."""

    value: Value
    rows: int
    log_mean: float
    log_square: float
    least: float
    most: float


def _log(value: float | None) -> float | None:
    return log(value) if value else None


def quoted(name: str) -> str:
    """A column's name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'
