"""What `hwsim map` is asked: a layer, a machine, an objective, and what mappings may look like."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from hwsim import layer_text
from hwsim.config import Config, parse
from hwsim.constraints import Constraints, Dataflow, check, load_constraints
from hwsim.errors import InputError, UnknownNameError
from hwsim.hardware import Accelerator, load_machine
from hwsim.map_space import Objective
from hwsim.networks import load_network
from hwsim.simulate import accumulated, check_operands
from hwsim.workload import Layer

VERB = "hwsim map"
# Options that shape a layer, and their keys in words.
SHAPE = {"stride": "stride", "dilation": "dilation", "pad": "pad", "groups": "G"}


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


@dataclass(frozen=True, kw_only=True)
class Job:
    """A request understood: the layer is as wide as asked for, or as the machine."""

    layer: Layer
    machine: Accelerator
    constraints: Constraints
    objective: Objective
    max_cycles: int | None
    budget_s: float | None


def job(options: dict[str, Any]) -> Job:
    """What the options mean. Raises InputError."""
    request = parse(options, Request, file=VERB)
    machine = load_machine(request.machine)
    layer = accumulated(_layer(request, machine), machine)
    check_operands(layer, machine)
    return Job(
        layer=layer,
        machine=machine,
        constraints=_constraints(request, machine),
        objective=request.objective,
        max_cycles=request.max_cycles,
        budget_s=request.budget_s,
    )


def _layer(request: Request, machine: Accelerator) -> Layer:
    """The layer in words, those of the options among them."""
    shape = {key: getattr(request, key) for key in SHAPE if getattr(request, key) is not None}
    options = [layer_text.option(SHAPE[key], value) for key, value in shape.items()]
    options += [layer_text.option("bits", value) for value in request.bits]
    options += [layer_text.option("density", value) for value in request.density]
    if not request.network:
        if request.batch:
            raise InputError("--batch: goes with --network; a layer in words says N=")
        words = layer_text.words(" ".join((request.layer, *options)))
    elif shape:
        raise InputError(f"--{next(iter(shape))}: a network's layer has its own")
    else:
        words = _of_network(request) | layer_text.words(" ".join(options))
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
