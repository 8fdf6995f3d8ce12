"""Reads NumPy's archives."""

import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError


def read_arrays(path: Path, *names: str) -> dict[str, NDArray[Any]]:
    """The arrays of those names in an .npz file. Raises InputError where it cannot give them."""
    try:
        with np.load(path) as archive:
            return {name: archive[name] for name in names}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except KeyError as fault:
        raise InputError(f"{path}: not a readable archive: {fault.args[0]}") from fault
    except (OSError, ValueError, TypeError, EOFError, BadZipFile, zlib.error) as fault:
        raise InputError(f"{path}: not a readable archive: {fault}") from fault
