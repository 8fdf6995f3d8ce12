"""What was simulated and measured, kept as it ends in one SQLite file, by its content.

Every answer is one transaction in a write-ahead log: a process that is killed leaves all that it
had finished, and a later one goes on from there.
"""

import json
import sqlite3
from hashlib import sha256
from pathlib import Path
from typing import Any

from hwsim.database import opened
from hwsim.errors import InputError

KIND, VERSION = 0x68777363, 1  # "hwsc"
SCHEMA = "CREATE TABLE IF NOT EXISTS known (key TEXT PRIMARY KEY, answer TEXT NOT NULL)"


class Store:
    """Answers by key; in memory where no `file` is named. Raises InputError on a file of another
    kind or version, a damaged one, and one that cannot be written."""

    def __init__(self, file: Path | None = None) -> None:
        self.file = file or Path(":memory:")
        self._open = opened(self.file, kind=KIND, version=VERSION, schema=SCHEMA)

    def find(self, key: str) -> Any:
        """What was kept, or None."""
        row = self._open.execute("SELECT answer FROM known WHERE key = ?", (key,)).fetchone()
        return json.loads(row[0]) if row else None

    def keep(self, key: str, answer: Any) -> Any:
        """Keeps an answer, and returns it as it is found again."""
        text = json.dumps(answer, sort_keys=True)
        try:
            self._open.execute("INSERT OR REPLACE INTO known VALUES (?, ?)", (key, text))
        except sqlite3.Error as error:
            raise InputError(f"{self.file}: cannot keep results there: {error}") from error
        return json.loads(text)

    def __len__(self) -> int:
        return int(self._open.execute("SELECT COUNT(*) FROM known").fetchone()[0])


def key_of(*parts: object) -> str:
    """SHA-256 of what decides an answer, in hexadecimal; parts that are no JSON count as told."""
    return sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
