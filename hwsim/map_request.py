"""What `hwsim map` is asked: a layer, a machine, an objective, and what mappings may look like."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from hwsim import layer_text
from hwsim._residents import Flow
from hwsim.config import Config, FieldError, parse
from hwsim.constraints import Constraints, check, load_constraints
from hwsim.dataflow import accumulated, check_operands
from hwsim.dataflow_rules import Dataflow
from hwsim.errors import InputError, UnknownNameError
from hwsim.hardware import Accelerator, load_machine
from hwsim.networks import load_network
from hwsim.objective import Objective
from hwsim.workload import Layer, Network

VERB = "hwsim map"
# Options that shape a layer, and their keys in words.
SHAPE = {"stride": "stride", "dilation": "dilation", "pad": "pad", "groups": "G"}
# What an option has no use for.
APART = {
    "network": tuple(SHAPE),
    "front": ("mapping", "max_cycles", "budget_s"),
    "mapping": ("max_cycles", "budget_s", "effort"),
    "effort": ("dataflow",),
    "chain": (
        *SHAPE,
        *("front", "mapping", "max_cycles", "effort", "constraints", "dataflow", "export", "out"),
    ),
}


class Request(Config):
    """The command line's options. `layer` is a layer in words or, of a `network`, a name; so are
    those that follow it in a `chain`."""

    layer: str
    chain: tuple[str, ...] = ()
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
    effort: Annotated[int, Field(ge=0, le=10**12)] | None = None
    constraints: Path | None = None
    dataflow: Dataflow | None = None
    front: bool = False
    mapping: Path | None = None
    out: Path | None = None
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
            value = getattr(self, key)
            if value:
                said = str(value) if isinstance(value, Path) else value
                raise FieldError(key=key, value=said, reason=reason)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A request understood: layers are as wide as asked for, or as the machine.

    `chain` is empty, or the layer and those that follow it.
    """

    request: Request
    layer: Layer
    chain: tuple[Layer, ...]
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
    layers = tuple(accumulated(layer, machine) for layer in _layers(request, machine))
    for layer in layers:
        check_operands(layer, machine)
    return Job(
        request=request,
        layer=layers[0],
        chain=layers if request.chain else (),
        machine=machine,
        constraints=_constraints(request, machine),
    )


def _layers(request: Request, machine: Accelerator) -> Iterator[Layer]:
    """The layer and those that follow it, as wide as the machine where nothing else is said."""
    mac = machine.mac
    widths = {"ifmap": mac.ifmap_bits, "weight": mac.weight_bits, "ofmap": mac.ifmap_bits}
    for number, words in enumerate(_words(request, machine), start=1):
        name = {"name": f"layer{number}"} if request.chain else {}
        yield layer_text.read(name | words, bits=widths | {"psum": mac.psum_bits})


def _words(request: Request, machine: Accelerator) -> Iterator[layer_text.Words]:
    """Each layer in words, those of the options among them."""
    shape = {key: getattr(request, key) for key in SHAPE if getattr(request, key) is not None}
    options = [layer_text.option(SHAPE[key], value) for key, value in shape.items()]
    options += [layer_text.option("bits", value) for value in request.bits]
    options += [layer_text.option("density", value) for value in request.density]
    asked = request.layer, *request.chain
    if not request.network:
        yield from (layer_text.words(" ".join((words, *options))) for words in asked)
        return
    network = load_network(request.network, batch=request.batch or 1)
    names = [layer.name for layer in network]
    for name in asked:
        if name not in names:
            raise UnknownNameError(kind="layer", name=name, known=names)
    _check_chain(asked, Flow(network, machine))
    own = layer_text.words(" ".join(options))
    yield from (_of_network(network, name) | own for name in asked)


def _of_network(network: Network, name: str) -> layer_text.Words:
    """A network's layer in words, but for its bits, which the machine or the options give."""
    words = layer_text.words(layer_text.text(network[name]))
    return {key: value for key, value in words.items() if not key.endswith("bits")}


def _check_chain(names: Iterable[str], flow: Flow) -> None:
    """Raises InputError unless each layer reads what the one before makes, and alone does so."""
    for before, after in pairwise(names):
        if flow.producers.get(after) != (before,):
            raise InputError(f"layer {after!r} does not read the ofmap of {before!r} alone")
        if flow.given_out(before) or flow.consumers(before) != (after,):
            raise InputError(f"layer {after!r} is not all that reads the ofmap of {before!r}")


def _constraints(request: Request, machine: Accelerator) -> Constraints:
    """Those of the file, and the dataflow, which only one of file and command line may name."""
    given = load_constraints(request.constraints, machine) if request.constraints else Constraints()
    if request.dataflow:
        if given.dataflow:
            raise InputError(f"--dataflow: {request.constraints} names {given.dataflow}")
        given = given.model_copy(update={"dataflow": request.dataflow})
        check(given, machine, file=VERB)
    return given
