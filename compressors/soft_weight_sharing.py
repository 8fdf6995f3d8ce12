"""Soft weight-sharing: weights gather around a few means, most at zero, while they train.

Ullrich, Meeds and Welling, "Soft Weight-Sharing for Neural Network Compression", ICLR 2017,
arXiv:1702.04008.
"""

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor, nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit, fit
from compressors._layers import WEIGHTED, weight_of
from compressors.codes.codebook import Codebook
from compressors.pruning.targets import targets
from compressors.training.free import free_
from compressors.training.mixture import Beside, Mixture, merged
from compressors.weights._form import set_form_
from compressors.weights.masked import mask_
from compressors.weights.shared import Shared

NEEDS, TAKES = Needs.LABELS, WEIGHTED


class Config(hwsim.config.Config):
    """`train` with `tau` / images times - log p of all weights under each layer's own mixture.

    A mixture has so many `components` besides the one at zero, whose share is fixed. Then every
    weight takes the mean of the component that answers for it, components closer than `gap` of a
    layer's largest weight become one, and `fit` trains the tables. The paper has one mixture for
    all layers, a share of 0.99 or more, and tens of epochs with Adam.
    """

    components: int = Field(default=16, ge=1, le=255)
    zero_share: float = Field(default=0.7, gt=0, lt=1)
    tau: float = Field(default=0.005, ge=0, allow_inf_nan=False)
    gap: float = Field(default=0.02, ge=0, allow_inf_nan=False)
    train: Fit = Fit(epochs=5.0, learning_rate=0.03, weight_decay=0.0)
    fit: Fit = Fit(learning_rate=0.1)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The network with shared weights behind masks."""
    assert data is not None
    assert data.labels is not None
    for path in layers:
        free_(model.get_submodule(path))
    parts = [target.layer for target in targets(model, layers)]
    mixtures = [
        Mixture(
            weight_of(layer).detach().flatten(),
            components=config.components,
            zero_share=config.zero_share,
        )
        for layer in parts
    ]
    weight = config.tau / len(data.images)

    def penalty() -> Tensor:
        pairs = zip(mixtures, parts, strict=True)
        terms = [mixture(weight_of(layer)) + mixture.hyper_prior() for mixture, layer in pairs]
        return weight * torch.stack(terms).sum()

    fit(Beside(model, mixtures), data.images, data.labels, config.train, penalty=penalty)
    for layer, mixture in zip(parts, mixtures, strict=True):
        share_(layer, mixture, config.gap)
    fit(model, data.images, data.labels, config.fit)
    return model


def share_(layer: nn.Module, mixture: Mixture, gap: float) -> None:
    """Give every weight the mean of its most responsible component; zeros of before stay."""
    weight = weight_of(layer).detach()
    with torch.no_grad():
        found = mixture.log_joint(weight.flatten()).argmax(1)
        found = torch.where(weight.flatten() == 0, 0, found)
        table, entries = merged(mixture.centres, found, gap * float(mixture.scale))
    indices = entries.reshape(weight.shape)
    set_form_(layer, Shared(Codebook(indices, table)))
    mask_(layer, indices != 0)
