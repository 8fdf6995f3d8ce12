"""HashNet: binary ifmaps that tell classes apart, by continuation from smooth ones.

Cao, Long, Wang and Yu, "HashNet: Deep Learning to Hash by Continuation", ICCV 2017
(arXiv:1702.00758). The weighted pairwise likelihood (eq. 4) of the codes that the last of the
layers sees is a penalty beside the cross entropy; tanh(beta z) grows steeper stage by stage and
becomes a sign. Ifmaps are centred on their means, as those behind a ReLU are never negative.
"""

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit, settle_batch_norms
from compressors._layers import WEIGHTED
from compressors.activations._quantiser import quantise_input_
from compressors.activations.continued_signs import ContinuedSigns, Settings
from compressors.quantized_cnn import seen
from compressors.training.tuning import tune

NEEDS, TAKES = Needs.LABELS, WEIGHTED
CENTRING_IMAGES = 512


class Config(hwsim.config.Config):
    """Stages, over which the sharpness doubles each time; the likelihood's weight; the training."""

    stages: Annotated[int, Field(ge=1, le=16)] = 6
    likelihood: Annotated[float, Field(ge=0)] = 1.0
    pairs_of: Annotated[int, Field(ge=2)] = 64
    fit: Fit = Fit(epochs=3.0)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers with ifmaps of -1 and 1, the network trained with them."""
    assert data is not None
    quantisers = [centred(model, path, data.images[:CENTRING_IMAGES]) for path in layers]
    for path, quantiser in zip(layers, quantisers, strict=True):
        quantise_input_(model.get_submodule(path), quantiser)
    steps = config.fit.steps(len(data.images))
    draw = torch.Generator().manual_seed(config.fit.seed)

    def sharpen(step: int) -> None:
        for quantiser in quantisers:
            quantiser.sharpness.fill_(2.0 ** (config.stages * (step + 1) // max(1, steps)))

    def likelihood() -> Tensor:
        assert data.labels is not None
        chosen = torch.randint(len(data.images), (config.pairs_of,), generator=draw)
        model(data.images[chosen])
        codes = quantisers[-1].codes.flatten(1)
        return config.likelihood * pairwise_loss(codes, data.labels[chosen])

    tune(
        model,
        data,
        config.fit,
        penalty=likelihood if config.likelihood else None,
        after_step=sharpen,
    )
    for path, quantiser in zip(layers, quantisers, strict=True):
        quantise_input_(model.get_submodule(path), exact(quantiser.centre))
    settle_batch_norms(model, data.images, batch=config.fit.batch)
    return model


def centred(model: nn.Module, path: str, images: Tensor) -> ContinuedSigns:
    """A quantiser about the mean of each input channel of a layer."""
    ifmaps, _ = seen(model, path, images)
    centre = ifmaps.mean([0, *range(2, ifmaps.ndim)], keepdim=True)[0]
    quantiser = ContinuedSigns(Settings(shape=tuple(centre.shape), exact=False))
    quantiser.centre.copy_(centre)
    return quantiser


def exact(centre: Tensor) -> ContinuedSigns:
    """The signs about a centre."""
    quantiser = ContinuedSigns(Settings(shape=tuple(centre.shape), exact=True))
    quantiser.centre.copy_(centre)
    return quantiser


def pairwise_loss(codes: Tensor, labels: Tensor) -> Tensor:
    """Eq. 4 for codes [n, bits] in -1..1, a mean over all pairs; alike are those of one label.

    Alike pairs together weigh what all others do. Products are scaled to at most 5, within the
    reach of the logistic curve.
    """
    products = 5 / codes.shape[1] * codes @ codes.T
    alike = (labels[:, None] == labels).float()
    share = alike.mean().clamp(1e-6, 1 - 1e-6)
    weights = torch.where(alike > 0, 1 / share, 1 / (1 - share))
    return (weights * (functional.softplus(products) - alike * products)).mean()
