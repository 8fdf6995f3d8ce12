"""Results on disk: all files of a folder at once, or none of them."""

import csv
import json
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hwsim.config import ConfigType, parse
from hwsim.errors import ConfigError, InputError


def read_record(path: Path, model: type[ConfigType], *, what: str) -> ConfigType:
    """The record of `what` in a JSON file, of the version that this hwsim writes. Raises
    InputError naming file, key and value."""
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: is not {what}: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: is not {what}: holds a {type(content).__name__}")
    age = content.get("schema_version")
    if age != 1:
        reason = "this hwsim reads 1; make it again"
        raise ConfigError(file=path, key="schema_version", value=age, reason=reason)
    return parse(content, model, file=path)


def csv_text(records: Sequence[Mapping[str, object]]) -> str:
    """Records with the keys of the first, one or more, as a table with a head."""
    text = StringIO()
    table = csv.DictWriter(text, fieldnames=list(records[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(records)
    return text.getvalue()


def check_writable(folder: Path) -> None:
    """Raises InputError unless results can be written to `folder`; leaves nothing behind."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        TemporaryDirectory(dir=existing, prefix=".hwsim-").cleanup()
    except OSError as error:
        raise _unwritable(folder, error) from error


def write_files(files: dict[str, bytes], folder: Path) -> None:
    """Writes contents by their names, which may lie in folders of their own.

    Everything lies complete on the disk before the first file moves into place. Other files in the
    folder stay. Raises InputError naming the folder.
    """
    try:
        _move_into(folder, files)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _move_into(folder: Path, files: dict[str, bytes]) -> None:
    # An existing folder may be a mount point: staging inside it keeps the moves atomic.
    beside = folder if folder.is_dir() else folder.absolute().parent
    beside.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=beside, prefix=".hwsim-") as stage:
        fresh = Path(stage, "fresh")
        for name, content in files.items():
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            (fresh / name).write_bytes(content)
        if beside != folder:
            fresh.rename(folder)
            return
        for name in files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (fresh / name).replace(folder / name)


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(f"{folder}: results cannot be written there: {error.strerror or error}")
