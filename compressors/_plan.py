"""A plan: which methods, with which settings, each layer gets, in which order."""

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from torch import nn

from compressors._layers import compressible_layers, other_layers
from hwsim import registry
from hwsim.config import Config, FieldError, parse, read_yaml
from hwsim.errors import InputError

REST = "*"  # every layer that the plan does not name


class Step(Config):
    """A method by name, and its settings; what is left out takes the method's default.

    So it is within a record, too: `{"fit": {"epochs": 4}}` trains at the method's own rate.
    """

    method: str
    config: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _complete(self) -> "Step":
        if self.method not in registry.names("compressor"):
            known = ", ".join(registry.names("compressor"))
            raise FieldError(key="method", value=self.method, reason=f"known: {known}")
        try:
            settings = self.module.Config.model_validate(completed(self.module.Config, self.config))
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            key = ".".join(map(str, ("config", *fault["loc"])))
            raise FieldError(key=key, value=fault["input"], reason=fault["msg"]) from error
        object.__setattr__(self, "config", settings.model_dump(mode="json"))
        return self

    @property
    def module(self) -> ModuleType:
        """The method's file."""
        return import_module(f"{registry.PACKAGES['compressor'][0]}.{self.method}")

    @property
    def removes_channels(self) -> bool:
        """Whether layers lose channels, and others what they read of them."""
        return bool(getattr(self.module, "REMOVES_CHANNELS", False))

    @property
    def settings(self) -> Config:
        """The method's own record of its settings."""
        settings: Config = parse(self.config, self.module.Config, file=self.method)
        return settings


def completed(kind: type[BaseModel], given: dict[str, Any]) -> dict[str, Any]:
    """Settings of a kind; a record in them that says less than its default takes the rest of it."""
    found = dict(given)
    for key, value in given.items():
        default = kind.model_fields[key].default if key in kind.model_fields else None
        if isinstance(default, BaseModel) and isinstance(value, dict):
            found[key] = default.model_dump(mode="json") | completed(type(default), value)
    return found


class Plan(Config):
    """Steps for each layer by module path; "*" stands for every layer not named.

    A layer with no steps is left as it is, and must say so: `{"fc": []}`. Frozen and JSON-able;
    `read_plan` reads YAML or JSON.
    """

    version: Literal[1] = 1
    layers: dict[str, tuple[Step, ...]]

    @field_validator("layers")
    @classmethod
    def _some(cls, layers: dict[str, tuple[Step, ...]]) -> dict[str, tuple[Step, ...]]:
        if not any(layers.values()):
            raise ValueError("no layer has a step")
        return layers

    def resolved(self, model: nn.Module) -> "Plan":
        """The plan with all layers of `model` by name. Raises InputError on one too many or few."""
        found = compressible_layers(model)
        if not found:
            raise InputError(
                f"{type(model).__name__}: no convolution or linear layer or LSTM to compress"
            )
        others = other_layers(model)
        for path in self.layers.keys() - found.keys() - others.keys() - {REST}:
            raise InputError(f"plan: layer {path!r}: not in the network: {', '.join(found)}")
        for path in found.keys() - self.layers.keys() if REST not in self.layers else ():
            raise InputError(f"plan: layer {path!r}: not named; give it [] to leave it as it is")
        rest = self.layers.get(REST, ())
        for path, layer in others.items():
            if self.layers.get(path, rest):
                kind = type(layer).__name__
                raise InputError(f"plan: layer {path!r}: no method takes {kind}: give it []")
        if not any(self.layers.get(path, rest) for path in found):
            raise InputError("plan: no layer of the network has a step")
        return Plan(layers={path: self.layers.get(path, rest) for path in found})

    def stages(self) -> Iterator[tuple[Step, list[str]]]:
        """Each step with all layers that take it at the same point; first steps come first.

        At one point, what removes channels precedes what gives weights a form that others read.
        """
        for stage in range(max(map(len, self.layers.values()))):
            groups: list[tuple[Step, list[str]]] = []
            for path, steps in self.layers.items():
                if stage < len(steps):
                    _join(groups, steps[stage], path)
            yield from sorted(groups, key=lambda group: not group[0].removes_channels)


def _join(groups: list[tuple[Step, list[str]]], step: Step, path: str) -> None:
    for found, paths in groups:
        if found == step:
            paths.append(path)
            return
    groups.append((step, [path]))


def uniform(*methods: str | tuple[str, dict[str, Any]], keep: Sequence[str] = ()) -> Plan:
    """The plan that gives all layers the same methods, in this order, but for those of `keep`."""
    named = [(one, {}) if isinstance(one, str) else one for one in methods]
    steps = tuple(
        parse({"method": method, "config": config}, Step, file="plan") for method, config in named
    )
    return Plan(layers={**dict.fromkeys(keep, ()), REST: steps})


def read_plan(path: Path) -> Plan:
    """The plan in a YAML or JSON file. Raises InputError naming file, key and value."""
    return parse(read_yaml(path), Plan, file=path)
