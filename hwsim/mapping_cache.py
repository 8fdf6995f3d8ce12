"""Mappings that were found before, by the content of the question, in memory and on disk.

A question's key covers the layer and the machine but for their names and descriptions, the
objective, limits and constraints, and the source of every module that decides a cost: an answer is
found again only where the search would give the same. `HWSIM_CACHE` names the folder in place of
the platform's own; `off` keeps nothing. On disk each answer is one small file, written beside its
place and moved there, so that processes may share the folder and be killed at any time. A damaged
file is no answer and is written anew. A folder that cannot be written leaves the memory.
"""

import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict, fields, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

from hwsim._content import digest, to_json
from hwsim.cost import Cost
from hwsim.found import Found, Question, Search
from hwsim.mapping import Mapping

VARIABLE, OFF = "HWSIM_CACHE", "off"
# Some 5 kB each; the oldest give way.
MOST_REMEMBERED = 2**14


def answer(question: Question, search: Search) -> Found:
    """What is known, or else what `search` finds, which is then kept."""
    known = current()
    return known.find(question) or known.keep(question, search(question))


def current() -> "MappingCache":
    """The cache that the environment names."""
    return _named(os.environ.get(VARIABLE, ""))


@cache
def _named(name: str) -> "MappingCache":
    if name == OFF:
        return MappingCache(None, most=0)
    return MappingCache(Path(name) if name else platform_folder())


def platform_folder() -> Path | None:
    """Where this platform keeps what can be made again; None for a user without a home."""
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "darwin":
        caches = home / "Library" / "Caches"
    elif sys.platform == "win32":
        caches = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    else:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return caches / "hwsim" / "mappings"


class MappingCache:
    """Answers in memory, `most` of them, and in `folder` unless that is None.

    One that a time budget cut short is given only to who grants the same budget.
    """

    def __init__(self, folder: Path | None, *, most: int = MOST_REMEMBERED) -> None:
        self.folder, self._most = folder, most
        self._memory: dict[str, Found] = {}
        self._lock = Lock()

    def find(self, question: Question) -> Found | None:
        """What was kept for this question, or for one that differs in labels at most."""
        found = self._look_up(_key(question, final=True))
        if found is None and question.budget_s is not None:
            found = self._look_up(_key(question, final=False))
        return found

    def keep(self, question: Question, found: Found) -> Found:
        """Keeps an answer, and returns it in the very form in which it is found again."""
        key = _key(question, final=_is_final(question, found))
        record = json.loads(to_json(_record(found)))
        if self.folder:
            _write(record, key, self.folder)
        self._memorise(key, _found(record))
        return replace(_found(record), cached=False)

    def remember(self, question: Question, found: Found) -> None:
        """Keeps an answer in memory alone."""
        self._memorise(_key(question, final=_is_final(question, found)), found)

    def _look_up(self, key: str) -> Found | None:
        found = self._memory.get(key)
        if found is None and self.folder:
            found = _read(key, self.folder)
            if found:
                self._memorise(key, found)
        return found

    def _memorise(self, key: str, found: Found) -> None:
        with self._lock:
            self._memory[key] = replace(found, cached=True)
            while len(self._memory) > self._most:
                del self._memory[next(iter(self._memory))]


def _is_final(question: Question, found: Found) -> bool:
    """Whether no time budget stood in the way of a better answer."""
    return question.budget_s is None or found.value <= found.lower_bound


def _key(question: Question, *, final: bool) -> str:
    return digest(replace(question, budget_s=None) if final else question)


def _record(found: Found) -> dict[str, Any]:
    record = {each.name: getattr(found, each.name) for each in fields(found)}
    record |= {"mapping": found.mapping.to_yaml(), "cost": asdict(found.cost), "cached": True}
    return record


def _found(record: dict[str, Any]) -> Found:
    mapping, cost = Mapping.from_yaml(record["mapping"]), Cost(**record["cost"])
    return Found(**(record | {"mapping": mapping, "cost": cost}))


def _read(key: str, folder: Path) -> Found | None:
    try:
        content = json.loads(_file(key, folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    match content:
        case {"found": dict(record), "check": str(check)} if check == _check(record, key):
            return _found(record)
    return None


def _write(record: dict[str, Any], key: str, folder: Path) -> None:
    """Whole, or not at all."""
    file, text = _file(key, folder), to_json({"found": record, "check": _check(record, key)})
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=file.parent, prefix=".") as stage:
            fresh = Path(stage, file.name)
            fresh.write_text(text + "\n", encoding="utf-8")
            os.replace(fresh, file)


def _file(key: str, folder: Path) -> Path:
    return folder / key[:2] / f"{key[2:]}.json"


def _check(record: dict[str, Any], key: str) -> str:
    return sha256(f"{key}{to_json(record)}".encode()).hexdigest()
