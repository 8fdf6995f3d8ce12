"""Supervised training in a few lines: what methods that train, retrain or fine-tune all call.

Stochastic gradient descent with Nesterov momentum (Sutskever et al., ICML 2013) on the cross
entropy, at a constant rate or one that falls along half a cosine (arXiv:1608.03983). The method
itself is in the module (masks and codes are parametrizations), in a penalty, or in what runs
before and after every step.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import cos, isfinite, pi
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

import hwsim.config
from compressors._data import Data
from compressors.weights._form import shares
from data._augment import augment
from hwsim.accuracy import one_thread
from hwsim.errors import InputError
from hwsim.progress import Progress, quiet

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
IMAGE_AXES = 4
SETTLING_IMAGES = 2048  # on which batch normalisation is measured anew


class Fit(hwsim.config.Config):
    """How to train: `epochs` may be a fraction, and 0 trains nothing; `batch` images a step.

    `augment` shifts and mirrors images. Equal settings, module and data give equal bytes.
    """

    epochs: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    batch: int = Field(default=128, ge=1)
    learning_rate: float = Field(default=0.01, gt=0, allow_inf_nan=False)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=5e-4, ge=0, allow_inf_nan=False)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    schedule: Literal["cosine", "constant"] = "cosine"
    augment: bool = False
    seed: int = Field(default=0, ge=0, lt=2**32)

    def steps(self, images: int) -> int:
        """How many steps so many images make; a last batch that is not full is left out."""
        wanted = round(self.epochs * max(1, images // self.batch))
        return max(1, wanted) if self.epochs else 0

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of one of `steps` steps."""
        falling = self.schedule == "cosine"
        return self.learning_rate * (0.5 + 0.5 * cos(pi * step / steps) if falling else 1)


Hook = Callable[[int], None]


def fit(
    module: nn.Module,
    images: Tensor,
    labels: Tensor,
    settings: Fit,
    *,
    penalty: Callable[[], Tensor] | None = None,
    before_step: Hook | None = None,
    after_step: Hook | None = None,
    stage: str = "training",
    progress: Progress = quiet,
) -> list[float]:
    """Train `module` in place on images N x ... and labels int64 N; the loss of each step.

    Every parameter that requires a gradient is trained, those under a parametrization too; a number
    that several weights share takes steps as many times smaller.
    `penalty()` is a scalar added to the loss. `before_step(step)` runs between the gradients and
    the update and may change both; `after_step(step)` runs after the update. Steps count from 0 to
    `settings.steps(N) - 1`. Afterwards the module is in evaluation mode and its batch
    normalisations know the trained network's own statistics.

    Raises InputError, before anything changes, for images or labels that are empty, not finite or
    do not fit, and for a module with nothing to train or parameters that are not finite; and where
    the loss is no longer finite.
    """
    check_data(images, labels)
    check_parameters(module)
    check_fits(module, images, labels, batch=settings.batch)
    steps = settings.steps(len(images))
    losses: list[float] = []
    if steps:
        with seeded(module, settings.seed):
            descent = Descent(module, images, labels, settings, penalty)
            losses = [
                descent.step(step, before_step=before_step, after_step=after_step)
                for step in told(range(steps), stage, progress)
            ]
            check_parameters(module)
            settle_batch_norms(module, images, batch=settings.batch)
    return losses


def tune_(module: nn.Module, settings: Fit, data: Data, *, progress: Progress = quiet) -> None:
    """Fine-tunes a compressed network in place on the images of `data`: what is zero stays zero,
    and what has a code keeps to it. Raises InputError as `fit` does, and without labels.
    """
    if data.labels is None:
        raise InputError("fine-tuning: needs labels: the data has none")
    fit(module, data.images, data.labels, settings, stage="fine-tuning", progress=progress)


@contextmanager
def seeded(module: nn.Module, seed: int) -> Iterator[None]:
    """Draws of its own, one thread and gradients for a while; the module then evaluates again."""
    with torch.random.fork_rng(devices=[]), one_thread(), torch.enable_grad():
        torch.manual_seed(seed)
        try:
            yield
        finally:
            module.eval()


def told(steps: range, stage: str, progress: Progress) -> Iterator[int]:
    """The steps, each told to `progress` before it is taken."""
    for step in steps:
        progress(stage, step, len(steps))
        yield step


class Descent:
    """A module, its data and its optimiser; every `step` goes on from the one before."""

    def __init__(
        self,
        module: nn.Module,
        images: Tensor,
        labels: Tensor,
        settings: Fit,
        penalty: Callable[[], Tensor] | None,
    ) -> None:
        self.module, self.images, self.labels = module, images, labels
        self.settings, self.penalty = settings, penalty
        self.steps = settings.steps(len(images))
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.batches = shuffled(len(images), settings.batch, self.generator)
        self.optimiser = torch.optim.SGD(
            groups(module),
            lr=settings.learning_rate,
            momentum=settings.momentum,
            nesterov=settings.momentum > 0,
            weight_decay=settings.weight_decay,
        )
        module.train()

    def step(self, step: int, *, before_step: Hook | None, after_step: Hook | None) -> float:
        """One step of gradient descent, and its loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.rate(step, self.steps) / group["weights"]
        self.optimiser.zero_grad()
        loss = self.loss(next(self.batches))
        if not isfinite(loss.item()):
            raise InputError(
                f"learning_rate = {self.settings.learning_rate}: "
                f"training diverges, the loss of step {step} is {loss.item()}"
            )
        torch.autograd.backward(loss)
        if before_step:
            before_step(step)
        self.optimiser.step()
        if after_step:
            after_step(step)
        return loss.item()

    def loss(self, chosen: Tensor) -> Tensor:
        """The cross entropy of the chosen images, and the penalty."""
        images = self.images[chosen]
        if self.settings.augment:
            images = augment(images, self.generator)
        logits = self.module(channels_last(images))
        smoothing = self.settings.label_smoothing
        found = functional.cross_entropy(logits, self.labels[chosen], label_smoothing=smoothing)
        return found + self.penalty() if self.penalty else found


def groups(module: nn.Module) -> list[dict[str, Any]]:
    """What trains, by how many weights one number stands for."""
    found: dict[float, list[Tensor]] = {}
    shared = shares(module)
    for parameter in module.parameters():
        if parameter.requires_grad:
            found.setdefault(shared.get(parameter, 1.0), []).append(parameter)
    return [{"params": parameters, "weights": weights} for weights, parameters in found.items()]


def shuffled(count: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Indices of full batches, without end; every image comes at most once an epoch."""
    while True:
        yield from _full_batches(torch.randperm(count, generator=generator), batch)


def _full_batches(rows: Tensor, batch: int) -> list[Tensor]:
    size = min(batch, len(rows))
    return list(torch.split(rows, size)[: len(rows) // size])


def channels_last(images: Tensor) -> Tensor:
    """The same images in the order in which convolutions are several times as fast."""
    if images.ndim != IMAGE_AXES:
        return images
    return images.contiguous(memory_format=torch.channels_last)


def settle_batch_norms(module: nn.Module, images: Tensor, *, batch: int) -> None:
    """Measure each batch normalisation's mean and variance on the weights as they now are.

    Running averages lag behind weights that have just moved (Wu and Johnson, arXiv:2105.07576).
    Evenly spaced images, at most SETTLING_IMAGES; every batch counts alike.
    """
    module.eval()
    chosen = images[:: -(-len(images) // SETTLING_IMAGES)]
    with one_thread(), torch.no_grad(), averaging(module) as norms:
        if norms:
            for part in _full_batches(chosen, batch):
                module(channels_last(part))


@contextmanager
def averaging(module: nn.Module) -> Iterator[list[BatchNorm]]:
    """The batch normalisations that keep statistics, which for a while average all they see."""
    norms = [m for m in module.modules() if isinstance(m, BatchNorm) and m.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    try:
        yield norms
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()


def check_data(images: Tensor, labels: Tensor) -> None:
    """Raise InputError unless there are finite images, each with an integer label from 0."""
    if images.ndim < 2 or images.numel() == 0:
        raise InputError(f"training images: expected at least one, found {[*images.shape]}")
    if not images.is_floating_point() or not bool(images.isfinite().all()):
        raise InputError("training images: expected finite floating-point values")
    if labels.shape != images.shape[:1] or labels.dtype != torch.int64:
        raise InputError(
            f"training labels: expected int64 {[len(images)]}, "
            f"found {str(labels.dtype).removeprefix('torch.')} {[*labels.shape]}"
        )
    if int(labels.min()) < 0:
        raise InputError(f"training labels: expected class numbers from 0, found {labels.min()}")


def check_fits(module: nn.Module, images: Tensor, labels: Tensor, *, batch: int) -> None:
    """Raise InputError unless the module, left in evaluation mode, can learn these labels."""
    if min(batch, len(images)) == 1 and any(isinstance(m, BatchNorm) for m in module.modules()):
        raise InputError("batch = 1: batch normalisation needs two images or more at a time")
    module.eval()
    try:
        with torch.no_grad():
            logits = module(channels_last(images[:1]))
    except RuntimeError as fault:  # torch has no class of its own for a shape that does not fit
        shape = "x".join(map(str, images.shape))
        raise InputError(
            f"training images of shape {shape} do not fit the network: {str(fault).splitlines()[0]}"
        ) from fault
    if logits.ndim != 2 or int(labels.max()) >= logits.shape[1]:
        raise InputError(
            f"training labels: the largest is {labels.max()}, "
            f"but the network gives logits of shape {[*logits.shape]}"
        )


def check_parameters(module: nn.Module) -> None:
    """Raise InputError where a parameter is not finite, or none is to be trained."""
    for name, parameter in module.named_parameters():
        if not bool(parameter.isfinite().all()):
            raise InputError(f"parameter {name!r}: holds values that are not finite")
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise InputError(f"{type(module).__name__}: no parameter to train")
