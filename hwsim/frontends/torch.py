"""PyTorch modules, and programs that torch.export recorded, as networks.

`torch.export` records one forward pass at inference; `_aten` says what each operator is to the
simulator. Layers of convolutions and linear modules bear the module's path, such as
`features.0.0`, where their weights are found; a second call of the same module is
`features.0.0_1`; functional operators bear the path of the module they stand in and their own
name, such as `block1.add`.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from itertools import chain
from pathlib import Path
from zipfile import BadZipFile

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from hwsim.errors import InputError
from hwsim.frontends._densities import Counter
from hwsim.frontends._program_weights import with_weights
from hwsim.frontends._trace import trace
from hwsim.workload import Network

LARGEST_CHUNK = 16  # images at a time: bounds the memory that activations take
# What torch.export, or the module's own forward pass, raises where it cannot go on.
EXPORT_FAILURES = (RuntimeError, TypeError, ValueError)
# What torch.export.load raises of files that are no programs, or damaged ones.
LOAD_FAILURES = (RuntimeError, ValueError, KeyError, AssertionError, OSError, BadZipFile)
OWN = "torch.nn.modules"


def network_from_torch(module: nn.Module, inputs: tuple[Tensor, ...], *, name: str) -> Network:
    """The network that `module` is on inputs of these shapes; the module is left as it was.

    Module and inputs may lie on the meta device. A batch-norm that alone reads a convolution
    or linear layer is folded into it. Raises UnsupportedOperatorError for an operator that cannot
    be simulated, and InputError where the module cannot be exported.
    """
    return trace(export(module, inputs, name=name), kinds_of(module), name=name).network


def network_from_program(program: ExportedProgram, *, name: str) -> Network:
    """The network that `torch.export.export` recorded, as `network_from_torch` reads it, with the
    zeros of its weights.

    Names follow the modules that the program remembers. Raises UnsupportedOperatorError, also
    where a shape was left open.
    """
    return with_weights(trace(program, kinds_in(program), name=name))


def network_from_pt2(path: Path, *, name: str | None = None) -> Network:
    """The network in a file that `torch.export.save` wrote, called as the file is.

    Raises InputError for a file that is missing, damaged or something else, and as
    `network_from_program`.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    with quiet():
        try:
            program = torch.export.load(path)
        except LOAD_FAILURES as fault:
            raise InputError(f"{path}: is not a program that torch.export.save wrote") from fault
    return network_from_program(program, name=name or path.stem)


def kinds_of(module: nn.Module) -> dict[str, type[nn.Module]]:
    """The classes of a network's modules by path."""
    parts = module.named_modules(remove_duplicate=False)
    return {path: type(part) for path, part in parts}


def kinds_in(program: ExportedProgram) -> dict[str, type[nn.Module]]:
    """The classes of the modules that a program remembers; in a file they are names alone."""
    found: dict[str, type[nn.Module]] = {"": nn.Module}
    for node in program.graph.nodes:
        for path, kind in node.meta.get("nn_module_stack", {}).values():
            if isinstance(kind, str):
                home, _, called = kind.rpartition(".")
                kind = getattr(nn, called, nn.Module) if home.startswith(OWN) else nn.Module
            found.setdefault(path, kind)
    return found


def with_densities(network: Network, module: nn.Module, images: Tensor) -> Network:
    """`network` with the share of non-zeros that `images` (N x ...) leave in every tensor.

    Padding does not count. The ofmap of a layer with weights is taken after the batch-norms,
    activations and views that follow it as only readers: machines fuse these and store what they
    yield. Within a fused attention operator, scores and softmax keep the density they had. Raises
    InputError where `module` lacks a layer of `network`.
    """
    chunk = max(size for size in range(1, LARGEST_CHUNK + 1) if len(images) % size == 0)
    return _measured(network, module, torch.split(images, chunk), keep=False)


def with_zeros(network: Network, module: nn.Module, images: Tensor) -> Network:
    """`network` with the zeros that `images` (N x ...), one batch of it, leave in its tensors.

    The zeros themselves, a bit an element, of weights and maps of convolutions, linear layers and
    pools; elsewhere, and where a view changes the order of a tensor as it is stored, the share of
    non-zeros alone. Raises InputError as `with_densities` does, and for images that are no batch.
    """
    return _measured(network, module, (images,), keep=True)


def _measured(
    network: Network, module: nn.Module, chunks: Sequence[Tensor], *, keep: bool
) -> Network:
    """The network with what `chunks` of images of one size leave in its tensors."""
    if on_meta_device(module):
        raise InputError(f"network {network.name!r}: its weights are on the meta device: no values")
    program = export(module, (chunks[0],), name=network.name)
    found = trace(program, kinds_of(module), name=network.name)
    steps = {step.layer.name: step for step in found.steps}
    for layer in network:
        if layer.name not in steps:
            raise InputError(f"network {network.name!r}: the module has no layer {layer.name!r}")
        traced = steps[layer.name].layer
        if keep and traced.bounds != layer.bounds:
            raise InputError(
                f"network {network.name!r}: layer {layer.name!r}: {len(chunks[0])} images make "
                f"N = {traced.N}, not {layer.N}: zeros are kept of one batch"
            )
    counter = Counter(found, keep=keep)
    counter.count(chunks)
    return network.with_layers(
        {layer.name: counter.measured(steps[layer.name], layer) for layer in network}
    )


def export(module: nn.Module, inputs: tuple[Tensor, ...], *, name: str) -> ExportedProgram:
    """The module's graph at inference. Raises InputError that names the network."""
    if on_meta_device(module):
        inputs = tuple(tensor.to("meta") for tensor in inputs)
    with at_inference(module), quiet(), torch.no_grad():
        try:
            return torch.export.export(module, inputs, strict=False)
        except EXPORT_FAILURES as fault:
            reason = next(iter(str(fault).splitlines()), "") or type(fault).__name__
            raise InputError(f"network {name!r}: cannot be exported: {reason}") from fault


def on_meta_device(module: nn.Module) -> bool:
    """Whether the module has shapes but no values."""
    return any(tensor.is_meta for tensor in chain(module.parameters(), module.buffers()))


@contextmanager
def at_inference(module: nn.Module) -> Iterator[None]:
    """Every submodule in evaluation mode for a while, and then as it was."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps back what PyTorch warns, logs and prints while it exports; errors still rise."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
