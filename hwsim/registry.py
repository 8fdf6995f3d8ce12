"""The file name is the registry: finds networks, compressors, machines, scenarios by name."""

import ast
from collections.abc import Callable
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from types import ModuleType

import yaml

from hwsim.errors import InputError, UnknownNameError

PACKAGES = {
    "network": ("models", ".py"),
    "compressor": ("compressors", ".py"),
    "data set": ("data", ".py"),
    "plot": ("plots", ".py"),
    "dataflow": ("hwsim.dataflows", ".py"),
    "machine": ("hwsim.accelerators", ".yaml"),
    "validation": ("hwsim.validation", ".py"),
    "scenario": ("scenarios", ".yaml"),
    "space": ("spaces", ".yaml"),
}


def names(kind: str) -> list[str]:
    """Every name of a kind, sorted; files whose names start with an underscore are helpers."""
    package, suffix = PACKAGES[kind]
    found = (Path(entry.name) for entry in files(package).iterdir())
    return sorted(f.stem for f in found if f.suffix == suffix and not f.stem.startswith("_"))


def summary(kind: str, name: str) -> str:
    """The description in a YAML file, or the first line of a module's docstring."""
    package, suffix = PACKAGES[kind]
    text = files(package).joinpath(name + suffix).read_text(encoding="utf-8")
    if suffix == ".py":
        said = ast.get_docstring(ast.parse(text)) or ""
    else:
        said = str(yaml.safe_load(text).get("description", ""))
    return next(iter(said.splitlines()), "")


def module(kind: str, name: str) -> ModuleType:
    """The Python module of that name. Raises UnknownNameError."""
    if name not in names(kind):
        raise UnknownNameError(kind=kind, name=name, known=names(kind))
    return import_module(f"{PACKAGES[kind][0]}.{name}")


def hook(found: ModuleType, attribute: str) -> Callable[..., object]:
    """The function a module offers under the name its kind prescribes. Raises InputError."""
    function: object = getattr(found, attribute, None)
    if not callable(function):
        raise InputError(f"{found.__file__}: {attribute}: the file defines no such function")
    return function


def yaml_path(kind: str, name: str) -> Path:
    """The file of a shipped name, or `name` itself where it is a path. Raises UnknownNameError."""
    if name in names(kind):
        return Path(str(files(PACKAGES[kind][0]).joinpath(f"{name}.yaml")))
    if Path(name).suffix in {".yaml", ".yml"} or "/" in name:
        return Path(name)
    raise UnknownNameError(kind=kind, name=name, known=names(kind))
