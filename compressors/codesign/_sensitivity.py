"""How much accuracy a layer's compression costs: measured, or told by a proxy that is cheaper.

- measured: the user's accuracy of the network with that layer alone compressed, as far as it tells
  more than noise.
- output_error: the squared error of the network's output, as a share of its squares.
- hessian: the second-order term of the loss, half the mean curvature times the squared change, of
  weights and of ifmaps (Dong et al., HAWQ-V2, arXiv:1911.03852, Sec. 3: the mean of the Hessian's
  diagonal), the Hessian's Gauss-Newton part in its place.

A proxy orders candidates but is no accuracy: a few trials are measured, spread over the range of
its scores, and say what a unit of it costs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn import functional

from compressors._curvature import curvature
from compressors._data import Data
from compressors._layers import weight_of
from compressors.activations._quantiser import input_quantiser
from compressors.codesign._subject import Subject
from compressors.codesign._trials import Measure
from hwsim.accuracy import one_thread
from hwsim.errors import InputError

Sensitivity = Literal["measured", "hessian", "output_error"]
SENSITIVITIES: tuple[Sensitivity, ...] = ("measured", "hessian", "output_error")
PROXY_IMAGES = 128
MOST_CLASSES = 100  # of which curvature is taken one by one
SAMPLES = 16  # trials measured to turn scores into drops


def output_error(subject: Subject) -> Measure:
    """The error of the output on the first images of the calibration data."""
    images = subject.calibration.images[:PROXY_IMAGES]
    with torch.inference_mode(), one_thread():
        wanted = subject.model(images)

    def error(model: nn.Module) -> float:
        with torch.inference_mode(), one_thread():
            return float((model(images) - wanted).square().sum() / wanted.square().sum())

    return Measure(name="output_error", of=error)


def hessian(subject: Subject) -> Measure:
    """The second-order change of the loss."""
    return Measure(name="hessian", of=_Curved(subject).change)


@dataclass(frozen=True, eq=False)
class _Curved:
    """A network's curvature by layer."""

    subject: Subject

    @cached_property
    def data(self) -> Data:
        """What curvature is taken on."""
        return self.subject.data.first(PROXY_IMAGES)

    @cached_property
    def of_weights(self) -> dict[str, float]:
        """The mean over the weights of each layer."""
        with torch.inference_mode():
            classes = self.subject.model(self.data.images[:1]).shape[1]
        few = classes <= MOST_CLASSES or self.data.labels is None
        kind: Literal["gauss_newton", "squared_gradients"]
        kind = "gauss_newton" if few else "squared_gradients"
        with one_thread():
            found = curvature(self.subject.model, self.subject.layers, self.data, kind)
        return {path: float(diagonal.mean()) for path, diagonal in found.items()}

    @cached_property
    def of_ifmaps(self) -> dict[str, float]:
        """The mean over the words of each layer's ifmap, labels drawn as the network says."""
        with torch.enable_grad():
            seen, logits = self.ifmaps()
            draw = torch.Generator().manual_seed(self.subject.seed)
            labels = torch.multinomial(logits.detach().softmax(1), 1, generator=draw)[:, 0]
            loss = functional.cross_entropy(logits, labels, reduction="sum")
            slopes = torch.autograd.grad(loss, list(seen.values()))
        return {path: float(each.square().mean()) for path, each in zip(seen, slopes, strict=True)}

    def ifmaps(self) -> tuple[dict[str, Tensor], Tensor]:
        """What each layer reads, and the network's output."""
        seen: dict[str, Tensor] = {}
        model = self.subject.model
        hooks = [
            model.get_submodule(path).register_forward_pre_hook(_keeper(seen, path))
            for path in self.subject.layers
        ]
        try:
            with one_thread():
                return seen, model(self.data.images.clone().requires_grad_())
        finally:
            for hook in hooks:
                hook.remove()

    @cached_property
    def read(self) -> dict[str, Tensor]:
        """What each layer reads."""
        with torch.no_grad():
            return self.ifmaps()[0]

    def change(self, model: nn.Module) -> float:
        """Half of curvature times squared change, over all layers."""
        own = self.subject.model
        total = 0.0
        for path in self.subject.layers:
            before, after = own.get_submodule(path), model.get_submodule(path)
            total += self.of_weights[path] * _squared_change(weight_of(before), weight_of(after))
            quantiser = input_quantiser(after)
            if quantiser is not None:
                with torch.no_grad():
                    error = (quantiser(self.read[path]) - self.read[path]).square().sum()
                total += self.of_ifmaps[path] * float(error) / len(self.data.images)
        return total / 2


def _keeper(seen: dict[str, Tensor], path: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen[path] = inputs[0]

    return keep


def _squared_change(before: Tensor, after: Tensor) -> float:
    """Of weights; what was removed counts as it was."""
    if before.shape == after.shape:
        return float((before - after).detach().double().square().sum())
    squares = [float(each.detach().double().square().sum()) for each in (before, after)]
    return max(0.0, squares[0] - squares[1])


def spread(scores: Sequence[float], count: int) -> list[int]:
    """The places of `count` scores or fewer, evenly over their order, the largest among them."""
    order = sorted(range(len(scores)), key=lambda place: scores[place])
    steps = np.linspace(0, len(order) - 1, min(count, len(order)))
    return sorted({order[round(float(step))] for step in steps})


def rank_correlation(scores: Sequence[float], drops: Sequence[float]) -> float | None:
    """Spearman's, None where one of them does not vary."""
    if len(set(scores)) < 2 or len(set(drops)) < 2:
        return None
    return float(spearmanr(scores, drops).statistic)


def measures(subject: Subject, accuracy: Measure) -> Mapping[Sensitivity, Callable[[], Measure]]:
    """How each sensitivity is measured."""
    return {
        "measured": lambda: accuracy,
        "hessian": lambda: hessian(subject),
        "output_error": lambda: output_error(subject),
    }


def check_sensitivities(*names: str) -> None:
    """Raises InputError on a name that is unknown."""
    for name in names:
        if name not in SENSITIVITIES:
            raise InputError(f"sensitivity = {name!r}: known: {', '.join(SENSITIVITIES)}")
