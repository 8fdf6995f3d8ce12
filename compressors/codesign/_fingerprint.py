"""What tells two functions apart: their code, and the images and numbers that they see.

Trials are kept by this, so that a function which judges by other images finds none of another's.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from hashlib import sha256
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from torch import Tensor

DEPTH = 4  # of what lies within what is seen


def fingerprint(evaluate: Callable[..., Any]) -> str:
    """SHA-256 of a function's own `fingerprint` if it has one, or else of its code and of what it
    refers to: closures, globals, defaults and attributes, as far as they are numbers, texts,
    arrays, tensors or made of such. Of all else the type counts.
    """
    own = getattr(evaluate, "fingerprint", None)
    found = sha256()
    for part in _parts(evaluate if own is None else str(own), DEPTH):
        found.update(part)
    return found.hexdigest()


def _parts(value: Any, depth: int) -> Iterator[bytes]:
    yield type(value).__qualname__.encode()
    if isinstance(value, Tensor):
        yield from _parts(value.detach().cpu().contiguous().numpy(), depth)
    elif isinstance(value, np.ndarray):
        yield str((value.dtype, value.shape)).encode() + value.tobytes()
    elif isinstance(value, str | int | float | bytes | ModuleType | None):
        yield repr(getattr(value, "__name__", value)).encode()
    elif depth > 0:
        deep = 2 if isinstance(value, FunctionType) else 1  # what helpers see, but not theirs
        for inner in _within(value):
            yield from _parts(inner, depth - deep)


def _within(value: Any) -> Iterator[Any]:
    """What a value is made of, or refers to."""
    if isinstance(value, Mapping):
        yield from (part for pair in value.items() for part in pair)
    elif isinstance(value, Sequence):
        yield from value
    elif isinstance(value, partial):
        yield from (value.func, value.args, value.keywords)
    elif isinstance(value, MethodType):
        yield from (value.__func__, value.__self__)
    elif isinstance(value, FunctionType):
        yield from _seen(value)
    elif is_dataclass(value) and not isinstance(value, type):
        yield from (getattr(value, each.name) for each in fields(value))
    elif callable(value) and hasattr(value, "__dict__") and not isinstance(value, type):
        yield from vars(value).values()


def _seen(function: FunctionType) -> Iterator[Any]:
    """A function's code and all that it names."""
    code = function.__code__
    yield code.co_code
    yield from (constant for constant in code.co_consts if not isinstance(constant, CodeType))
    yield from (cell.cell_contents for cell in function.__closure__ or ())
    yield from (function.__defaults__ or (), function.__kwdefaults__ or {})
    yield from (
        function.__globals__[name] for name in code.co_names if name in function.__globals__
    )
