"""A space: what a YAML file asks to be explored, read and checked before anything runs."""

from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from hwsim import registry
from hwsim.config import Config, FieldError, parse, read_yaml
from hwsim.errors import ConfigError, InputError, UnknownNameError
from hwsim.explore.fields import Content, Setting, Value, machine_with
from hwsim.objective import Objective
from hwsim.scenario_file import load_scenario
from hwsim.scenario_sides import Positive
from hwsim.workload import Op

# What a point is judged by; of the first two, before anything is simulated.
KNOWN_BEFORE = ("area_mm2", "on_chip_bits")
MEASURES = (*KNOWN_BEFORE, "energy_pj", "latency_ms", "edp_js", "cycles", "dram_bits", "accuracy")
MAXIMISED = frozenset({"accuracy"})
Measure = Literal[
    "area_mm2",
    "on_chip_bits",
    "energy_pj",
    "latency_ms",
    "edp_js",
    "cycles",
    "dram_bits",
    "accuracy",
]
# What is no field of a machine.
SETTINGS = ("machine", "network", "batch", "bits", "plan")
MOST_VALUES = 10_000

Seed = Annotated[int, Field(ge=0, lt=2**32)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Range(Config):
    """Values from one to another: so far apart (`step`), or each so many `times` the one before."""

    start: Annotated[int | float, Field(alias="from")]
    to: int | float
    step: Annotated[int | float, Field(gt=0)] | None = None
    times: Annotated[int | float, Field(gt=1)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.step is None) == (self.times is None):
            raise ValueError("needs either a step or times")
        if self.times and self.start <= 0:
            raise FieldError(key="from", value=self.start, reason="must be positive with times")
        return self

    @property
    def values(self) -> tuple[Value, ...]:
        """All of them, the last no larger than `to`."""
        found, value = list[Value](), self.start
        while value <= self.to * (1 + 1e-12) and len(found) <= MOST_VALUES:
            found.append(value)
            value = value + self.step if self.step else value * (self.times or 1)
        return tuple(found)


def _form(value: Any) -> str:
    if isinstance(value, Range) or (isinstance(value, dict) and "from" in value):
        return "parameter-range"
    return "parameter-choices" if isinstance(value, dict) else "parameter-values"


Values = Annotated[tuple[Value, ...], Field(min_length=1, max_length=MOST_VALUES)]
Choices = Annotated[dict[str, dict[str, Setting]], Field(min_length=1)]
Parameter = Annotated[
    Annotated[Values, Tag("parameter-values")]
    | Annotated[Range, Tag("parameter-range")]
    | Annotated[Choices, Tag("parameter-choices")],
    Discriminator(_form),
]


class Limits(Config):
    """The least and the most that a measure may be."""

    least: Number | None = None
    most: Number | None = None

    @model_validator(mode="after")
    def _some_are_admitted(self) -> Self:
        if self.least is not None and self.most is not None and self.least > self.most:
            reason = f"exceeds most = {self.most:g}: nothing is within"
            raise FieldError(key="least", value=self.least, reason=reason)
        return self

    def admit(self, value: object) -> bool:
        """Whether a value lies within; what is no number does not."""
        if not isinstance(value, int | float):
            return False
        above = self.least is None or value >= self.least
        return above and (self.most is None or value <= self.most)


class Fill(Config):
    """A capacity that takes what is left of an area: whole steps of it, the most that fit."""

    field: str
    area_mm2: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    step_bits: Positive = 8192


class Grid(Config):
    """Every combination of all values."""

    kind: Literal["grid"] = "grid"


class Random(Config):
    """So many combinations, drawn one by one, each as likely as any other."""

    kind: Literal["random"]
    points: Positive
    seed: Seed = 0


class Search(Config):
    """optuna's search towards the objectives: NSGA-II by generations of `population`, or TPE, which
    is told of so many points at once."""

    kind: Literal["nsga2", "tpe"]
    points: Positive
    population: Annotated[int, Field(ge=2, le=10_000)] = 40
    seed: Seed = 0


Strategy = Annotated[Grid | Random | Search, Field(discriminator="kind")]


class Space(Config):
    """Machines, networks and what of them varies.

    `parameters`: by field of the machine (`hwsim.explore.fields`), or by `machine`, `network`,
    `batch` or `bits`, the values it may take; or, under a name of your own, choices that set
    several fields at once. `scenarios` take the place of `network` and `bits`: both sides of each
    run, with their accuracies. Without `bits` words are as wide as the machine's MACs take. `ops`:
    layers of these operations alone. Layers run under the mapping of least `objective`: the
    dataflow's best, or with an `effort` the best found of all. `compare` names a parameter whose
    values are set against each other.
    """

    name: Annotated[str, Field(pattern=r"^[^/\\.][^/\\]*$")] = "space"
    description: str
    machine: str
    network: str | None = None
    scenarios: tuple[str, ...] = ()
    batch: Positive = 1
    bits: Annotated[int, Field(ge=1, le=64)] | None = None
    ops: tuple[Op, ...] = ()
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    constraints: dict[Measure, Limits] = Field(default_factory=dict)
    fill: Fill | None = None
    strategy: Strategy = Grid()
    objectives: Annotated[tuple[Measure, ...], Field(min_length=1)] = (
        "energy_pj",
        "latency_ms",
        "area_mm2",
    )
    objective: Objective = "edp"
    effort: Annotated[int, Field(ge=0, le=10**12)] = 0
    compare: str | None = None

    @field_validator("parameters")
    @classmethod
    def _values_differ(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        for name, values in parameters.items():
            listed = _listed(values)
            if len(set(map(repr, listed))) < len(listed) or not listed:
                raise FieldError(key=name, value=list(listed), reason="values must be, and differ")
            if len(listed) > MOST_VALUES:
                reason = f"at most {MOST_VALUES} values"
                raise FieldError(key=name, value=len(listed), reason=reason)
        return parameters

    @model_validator(mode="after")
    def _one_kind_of_workload(self) -> Self:
        named = self.network is not None or "network" in self.parameters
        if named == bool(self.scenarios):
            raise ValueError("needs either a network or scenarios")
        if self.scenarios and (self.bits or {"bits", "batch", "network"} & self.axes.keys()):
            raise ValueError("scenarios: say themselves which network, batch and bits they take")
        if "accuracy" in self.objectives and not self.scenarios:
            raise FieldError(
                key="objectives", value="accuracy", reason="only scenarios have an accuracy"
            )
        names = [*self.axes, *(["plan"] if self.scenarios else [])]
        if self.compare is not None and self.compare not in names:
            known = str(UnknownNameError(kind="parameter", name=self.compare, known=names))
            raise FieldError(key="compare", value=self.compare, reason=known)
        return self

    @property
    def axes(self) -> dict[str, tuple[Value, ...]]:
        """By parameter all of its values, in their order; of choices the names."""
        return {name: _listed(values) for name, values in self.parameters.items()}

    @property
    def size(self) -> int:
        """How many combinations of values there are, but for plans."""
        return prod(len(values) for values in self.axes.values())

    def settings(self, chosen: Mapping[str, Value]) -> dict[str, Setting]:
        """What a combination sets, choices spelt out. Later parameters win over earlier ones."""
        found: dict[str, Setting] = {}
        for name, value in chosen.items():
            values = self.parameters.get(name)
            found |= values[str(value)] if isinstance(values, dict) else {name: value}
        return found


def _listed(values: Any) -> tuple[Value, ...]:
    if isinstance(values, Range):
        return values.values
    return tuple(values)


def load_space(name: str) -> tuple[Space, Path]:
    """A shipped space by name, or a user's by path, and its file. Relative paths in it are sought
    beside it first. Raises InputError naming file, key and value."""
    path = registry.yaml_path("space", name)
    content = {"name": path.stem} | read_yaml(path)
    for key in ("machine", "scenarios"):
        if key in content:
            content[key] = _anchored(content[key], path.parent)
    space = _with_plans(parse(content, Space, file=path))
    _check_fields(space, path)
    return space, path


def _with_plans(space: Space) -> Space:
    """A parameter `plan` of all scenarios' sides, unless there is one. Raises InputError."""
    if not space.scenarios or "plan" in space.parameters:
        return space
    sides = [
        f"{scenario.name}: {side.label}"
        for scenario in map(load_scenario, space.scenarios)
        for side in (scenario.baseline, scenario.compressed)
    ]
    return space.model_copy(update={"parameters": {"plan": tuple(sides)} | space.parameters})


def _anchored(value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [_anchored(each, folder) for each in value]
    beside = (
        folder / value if isinstance(value, str) and value.endswith((".yaml", ".yml")) else None
    )
    return str(beside) if beside and beside.exists() else value


def machine_contents(space: Space) -> dict[str, Content]:
    """By name, the files' contents of all machines of a space. Raises InputError."""
    named = [*space.axes.get("machine", ()), *chosen_values(space, "machine")] or [space.machine]
    return {str(name): _machine_content(str(name)) for name in (space.machine, *named)}


def _machine_content(name: str) -> Content:
    path = registry.yaml_path("machine", name)
    return {"name": path.stem} | read_yaml(path)


def network_names(space: Space) -> list[str]:
    """The networks of a space."""
    named = [*space.axes.get("network", ()), *chosen_values(space, "network")]
    if not named and space.network:
        named = [space.network]
    return list(dict.fromkeys(map(str, named)))


def chosen_values(space: Space, key: str) -> Iterator[Setting]:
    for values in space.parameters.values():
        if isinstance(values, dict):
            yield from (settings[key] for settings in values.values() if key in settings)


def _check_fields(space: Space, file: Path) -> None:
    """Raises ConfigError for a value that its machine does not take by itself."""
    try:
        contents = machine_contents(space)
    except InputError as error:
        raise _fault(file, "machine", space.machine, error) from error
    for name in network_names(space):
        if name not in registry.names("network"):
            unknown = UnknownNameError(kind="network", name=name, known=registry.names("network"))
            raise _fault(file, "network", name, unknown)
    for key, value, settings in _singles(space):
        for content in contents.values():
            try:
                machine_with(content, machine_fields(settings), file="machine")
            except InputError as error:
                raise _fault(file, key, value, error) from error


def _singles(space: Space) -> Iterator[tuple[str, Value, dict[str, Setting]]]:
    """Each value of each parameter by itself: its key in the file, and what it sets."""
    for name, values in space.axes.items():
        for value in values:
            yield f"parameters.{name}", value, space.settings({name: value})
    if space.fill:
        yield "fill.field", space.fill.field, {space.fill.field: space.fill.step_bits}


def machine_fields(settings: Mapping[str, Setting]) -> dict[str, Setting]:
    """Of what a point sets, the fields of its machine."""
    return {key: value for key, value in settings.items() if key not in SETTINGS}


def _fault(file: Path, key: str, value: Value, error: InputError) -> ConfigError:
    return ConfigError(file=file, key=key, value=value, reason=str(error))
