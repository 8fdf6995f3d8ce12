"""What `hwsim map` is asked: a layer, a machine, an objective, and what mappings may look like."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from hwsim import layer_text
from hwsim.config import Config, FieldError, parse
from hwsim.constraints import Constraints, Dataflow, check, load_constraints
from hwsim.dataflow import accumulated, check_operands
from hwsim.errors import InputError, UnknownNameError
from hwsim.hardware import Accelerator, load_machine
from hwsim.networks import load_network
from hwsim.objective import Objective
from hwsim.workload import Layer

VERB = "hwsim map"
# Options that shape a layer, and their keys in words.
SHAPE = {"stride": "stride", "dilation": "dilation", "pad": "pad", "groups": "G"}
# What an option has no use for.
APART = {
    "network": tuple(SHAPE),
    "front": ("mapping", "max_cycles", "budget_s"),
    "mapping": ("max_cycles", "budget_s"),
}


class Request(Config):
    """The command line's options. `layer` is a layer in words or, of a `network`, a name."""

    layer: str
    network: str = ""
    batch: Annotated[int, Field(ge=1, le=65536)] | None = None
    stride: str | None = None
    dilation: str | None = None
    pad: str | None = None
    groups: str | None = None
    bits: tuple[str, ...] = ()
    density: tuple[str, ...] = ()
    machine: str = "eyeriss_v1"
    objective: Objective = "edp"
    max_cycles: Annotated[int, Field(ge=1)] | None = None
    budget_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    constraints: Path | None = None
    dataflow: Dataflow | None = None
    front: bool = False
    mapping: Path | None = None
    export: tuple[Literal["timeloop", "zigzag"], ...] = ()
    samples: Annotated[int, Field(ge=1, le=100_000)] = 1000
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    @model_validator(mode="after")
    def _options_go_together(self) -> Self:
        """No option is passed over in silence."""
        for given, others in APART.items():
            if getattr(self, given):
                self._refuse(others, f"does not go with --{given}")
        if not self.network:
            self._refuse(("batch",), "goes with --network; a layer in words says N=")
        return self

    def _refuse(self, keys: Iterable[str], reason: str) -> None:
        for key in keys:
            if getattr(self, key):
                raise FieldError(key=key, value=getattr(self, key), reason=reason)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A request understood: the layer is as wide as asked for, or as the machine."""

    request: Request
    layer: Layer
    machine: Accelerator
    constraints: Constraints

    @property
    def name(self) -> str:
        """The layer and the machine, as a folder may be called."""
        return f"{self.layer.name.replace('/', '_')}_on_{self.machine.name}"


def job(options: dict[str, Any]) -> Job:
    """What the options mean. Raises InputError."""
    request = parse(options, Request, file=VERB)
    machine = load_machine(request.machine)
    layer = accumulated(_layer(request, machine), machine)
    check_operands(layer, machine)
    constraints = _constraints(request, machine)
    return Job(request=request, layer=layer, machine=machine, constraints=constraints)


def _layer(request: Request, machine: Accelerator) -> Layer:
    """The layer in words, those of the options among them."""
    shape = {key: getattr(request, key) for key in SHAPE if getattr(request, key) is not None}
    options = [layer_text.option(SHAPE[key], value) for key, value in shape.items()]
    options += [layer_text.option("bits", value) for value in request.bits]
    options += [layer_text.option("density", value) for value in request.density]
    if request.network:
        words = _of_network(request) | layer_text.words(" ".join(options))
    else:
        words = layer_text.words(" ".join((request.layer, *options)))
    mac = machine.mac
    widths = {"ifmap": mac.ifmap_bits, "weight": mac.weight_bits, "ofmap": mac.ifmap_bits}
    return layer_text.read(words, bits=widths | {"psum": mac.psum_bits})


def _of_network(request: Request) -> layer_text.Words:
    """A network's layer in words, but for its bits, which the machine or the options give."""
    network = load_network(request.network, batch=request.batch or 1)
    names = [layer.name for layer in network]
    if request.layer not in names:
        raise UnknownNameError(kind="layer", name=request.layer, known=names)
    words = layer_text.words(layer_text.text(network[request.layer]))
    return {key: value for key, value in words.items() if not key.endswith("bits")}


def _constraints(request: Request, machine: Accelerator) -> Constraints:
    """Those of the file, and the dataflow, which only one of file and command line may name."""
    given = load_constraints(request.constraints, machine) if request.constraints else Constraints()
    if request.dataflow:
        if given.dataflow:
            raise InputError(f"--dataflow: {request.constraints} names {given.dataflow}")
        given = given.model_copy(update={"dataflow": request.dataflow})
        check(given, machine, file=VERB)
    return given
