"""Reads users' YAML into frozen pydantic models; a complaint names file, key and value."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from hwsim.errors import ConfigError, InputError


class Config(BaseModel):
    """A frozen record that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FieldError(ValueError):
    """What a validator raises that sees a whole record: which key in it is at fault, and why."""

    def __init__(self, *, key: str, value: object, reason: str) -> None:
        self.key, self.value, self.reason = key, value, reason
        super().__init__(f"{key} = {value!r}: {reason}")


EXTRA = frozenset({"extra_forbidden", "unexpected_keyword_argument"})
# Which variant of a union was tried is no part of a key.
TAGS = frozenset(
    {"array", "memory_level", "storage-name", "storage-format"}
    | {"parameter-values", "parameter-range", "parameter-choices"}
)
# What pydantic says in words of Python, in words of YAML.
PLAIN = {
    "tuple_type": "must be a list",
    "dict_type": "must hold keys and values",
    "too_short": "must hold at least {min_length}",
}

ConfigType = TypeVar("ConfigType", bound=Config)


def yaml_content(path: Path) -> Any:
    """Whatever a YAML file holds, safely loaded. Raises InputError."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: is not YAML: {' '.join(str(error).split())}") from error


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file's mapping, safely loaded. Raises InputError."""
    content = yaml_content(path)
    if not isinstance(content, dict):
        found = "nothing" if content is None else type(content).__name__
        raise InputError(f"{path}: must hold keys and values, not {found}")
    return content


def parse(content: dict[str, Any], model: type[ConfigType], *, file: object) -> ConfigType:
    """`content` as a `model`. Raises ConfigError naming the first key at fault."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        # A misspelt key is also a missing one: the spelling is what the user can see.
        details = sorted(error.errors(include_url=False), key=lambda d: d["type"] not in EXTRA)
        raise _complaint(details[0], model, file) from error


def load(path: Path, model: type[ConfigType]) -> ConfigType:
    """A YAML file as a `model`. Raises InputError."""
    return parse(read_yaml(path), model, file=path)


def _complaint(detail: ErrorDetails, model: type[BaseModel], file: object) -> ConfigError:
    parts = [str(part) for part in detail["loc"] if part not in TAGS]
    fault = detail.get("ctx", {}).get("error")
    if isinstance(fault, FieldError):
        key = ".".join((*parts, fault.key))
        return ConfigError(file=file, key=key, value=fault.value, reason=fault.reason)
    value = None if detail["type"] == "missing" else _brief(detail["input"])
    key = ".".join(parts) or "(whole file)"
    return ConfigError(file=file, key=key, value=value, reason=_reason(detail, model))


def _brief(value: object) -> object:
    return value if len(repr(value)) < 80 else f"{repr(value)[:77]}..."


def _reason(detail: ErrorDetails, model: type[BaseModel]) -> str:
    if detail["type"] in PLAIN:
        return PLAIN[detail["type"]].format(**detail.get("ctx", {}))
    if detail["type"] not in EXTRA:
        return detail["msg"].removeprefix("Value error, ")
    known = sorted(_keys(model))
    near = get_close_matches(str(detail["loc"][-1]), known, n=1)
    return "unknown key" + (f"; did you mean {near[0]!r}?" if near else "")


def _keys(model: type[BaseModel]) -> set[str]:
    """Every key a file of this model may hold, at any depth."""
    keys = set(model.model_fields)
    schema = model.model_json_schema()
    for part in schema.get("$defs", {}).values():
        keys |= set(part.get("properties", {}))
    return keys
