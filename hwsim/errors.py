"""The exceptions hwsim raises for what a user can mend; all else is a defect and keeps its trace.

Every `InputError` is one line that names the file, the key and the value at fault. The command
line prints it and exits with status 2.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


class InputError(Exception):
    """Something the user gave is wrong; the message is one line that says what to mend."""

    def __reduce__(self) -> tuple[Any, ...]:
        """By its message, as what some are made from is lost: so all cross to other processes."""
        return _said, (type(self), *self.args)


def _said(kind: type[InputError], *args: object) -> InputError:
    return kind.__new__(kind, *args)


class UnknownNameError(InputError):
    """A name that no file bears: lists the known names and the nearest one."""

    def __init__(self, *, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        longer = [each for each in names if name and each.startswith(name)]
        near = longer or get_close_matches(name, names, n=1, cutoff=0.4)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        super().__init__(f"unknown {kind} {name!r}{hint}; known: {', '.join(names) or 'none'}")


class ConfigError(InputError):
    """A file whose key holds an impossible value."""

    def __init__(self, *, file: object, key: str, value: object, reason: str) -> None:
        super().__init__(f"{file}: {key} = {value!r}: {reason}")


class MappingError(InputError):
    """A mapping that a machine cannot hold, or a layer for which a machine has none."""


class UnsupportedOperatorError(InputError):
    """An operator of a network that the simulator has no model of."""
