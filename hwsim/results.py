"""Results on disk: all files of a folder at once, or none of them."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hwsim.errors import InputError


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
