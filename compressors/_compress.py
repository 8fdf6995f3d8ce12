"""Carry a plan out on a network."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from compressors._data import Data, Needs, check_data
from compressors._layers import check_layers
from compressors._plan import Plan
from hwsim.errors import InputError
from hwsim.progress import Progress, quiet


def compress(
    model: nn.Module,
    plan: Plan,
    *,
    data: Data | None = None,
    calibration: Data | None = None,
    progress: Progress = quiet,
) -> nn.Module:
    """A compressed copy of `model`, in evaluation mode; `model` stays as it is.

    Methods that need no labels learn from `calibration` where it is given, all others from `data`.
    Weights stay trainable, through `torch.nn.utils.parametrize`. Raises InputError, naming layer
    and method, for a layer that a method cannot take and for data that it lacks.
    """
    resolved = check(model, plan, data=data, calibration=calibration)
    compressed = copy.deepcopy(model).eval()
    for step, layers in resolved.stages():
        given = data if step.module.NEEDS is Needs.LABELS else calibration or data
        check_layers(compressed, layers, method=step.method, takes=step.module.TAKES)
        progress(f"{step.method} on {len(layers)} layers")
        with naming(step.method):
            sees = step.module.NEEDS is not Needs.NOTHING or step.removes_channels
            if given is not None and sees:
                check_runs(compressed, given)
            compressed = step.module.compress(compressed, layers, step.settings, given).eval()
    return compressed


def check_runs(model: nn.Module, data: Data) -> None:
    """Raises InputError where the first image does not fit the network, or breaks it."""
    shape = "x".join(map(str, data.images.shape))
    try:
        with torch.no_grad():
            found = model(data.images[:1])
    except RuntimeError as fault:  # torch has no class of its own for a shape that does not fit
        reason = str(fault).splitlines()[0]
        raise InputError(f"data: images {shape} do not fit the network: {reason}") from fault
    if isinstance(found, Tensor) and not torch.isfinite(found).all():
        raise InputError(f"data: of images {shape} the network makes values that are not finite")


@contextmanager
def naming(method: str) -> Iterator[None]:
    """Errors of shared parts, which do not know the method that they work for, name it."""
    try:
        yield
    except InputError as fault:
        if type(fault) is not InputError or method in str(fault):
            raise
        raise InputError(f"{method}: {fault}") from fault


def check(
    model: nn.Module, plan: Plan, *, data: Data | None = None, calibration: Data | None = None
) -> Plan:
    """The plan with all layers of `model` by name, once it is known that they are there, and that
    there is the data that its methods need. Raises InputError.
    """
    resolved = plan.resolved(model)
    for step, _ in resolved.stages():
        given = data if step.module.NEEDS is Needs.LABELS else calibration or data
        check_data(step.method, step.module.NEEDS, given)
    return resolved


def compress_(
    model: nn.Module,
    plan: Plan,
    *,
    data: Data | None = None,
    calibration: Data | None = None,
    progress: Progress = quiet,
) -> None:
    """`compress` in place. Where it raises, `model` is untouched."""
    compressed = compress(model, plan, data=data, calibration=calibration, progress=progress)
    model.__class__, model.__dict__ = compressed.__class__, compressed.__dict__
