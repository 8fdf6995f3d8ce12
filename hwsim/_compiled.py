"""Functions that numba compiles, kept on disk apart for each version of hwsim's code.

Numba compiles a function again when its own file has changed, but not when one that it calls has,
in another file. So what is compiled lies in a folder named by a digest of all files with compiled
code in them and of what they take constants from: no version runs what another one left behind,
and processes may share the folder. `NUMBA_CACHE_DIR` names the folder above it.
"""

import os
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])
# Not compiled themselves: the order of tensors and dimensions is.
CONSTANTS = "workload.py"
MARK = b"from hwsim._compiled import"
CACHES = "~/.cache/hwsim/compiled"


def compiled(
    *, inline: bool = False, allocates: bool = True, zero_division: bool = True
) -> Callable[[Function], Function]:
    """A decorator: compiles a function, once for all processes. `inline`: into those that call it.
    `allocates`: whether it makes arrays; one that does not, or that is `inline`, need not count who
    refers to those that it is given, which takes longer than most of what these do.
    `zero_division`: whether dividing by zero raises. What is `inline`, or has a name that begins
    with an underscore, is for compiled code alone: what others need to call it takes long to
    compile."""
    error_model: Literal["python", "numpy"] = "python" if zero_division else "numpy"
    config: Any = numba.config

    def compile_(function: Function) -> Function:
        # A function's folder is chosen as it is decorated.
        before, config.CACHE_DIR = config.CACHE_DIR, str(folder())
        try:
            own = inline or function.__name__.startswith("_")
            more: Any = {"_nrt": allocates and not inline, "no_cpython_wrapper": own}
            decorate = numba.njit(cache=True, forceinline=inline, error_model=error_model, **more)
            return cast(Function, decorate(function))
        finally:
            config.CACHE_DIR = before

    return compile_


def folder() -> Path:
    """Where this version's compiled code is kept: beside hwsim, or with the user's caches where
    nothing may be written there."""
    here = Path(__file__).parent
    above = here / "__pycache__" if os.access(here, os.W_OK) else os.path.expanduser(CACHES)
    return Path(os.environ.get("NUMBA_CACHE_DIR") or above) / f"hwsim-{code_digest()[:16]}"


@cache
def code_digest() -> str:
    """SHA-256 of every file whose code is compiled, and of the constants in it, in hexadecimal."""
    root = files("hwsim")
    found = {file.name: file.read_bytes() for file in root.iterdir() if file.name.endswith(".py")}
    found = {name: own for name, own in found.items() if MARK in own or name == CONSTANTS}
    for file in root.joinpath("search").iterdir():
        if file.name.endswith(".py"):
            found[f"search/{file.name}"] = file.read_bytes()
    return sha256(b"".join(found[name] for name in sorted(found))).hexdigest()
