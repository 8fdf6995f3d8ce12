"""Deep Compression: prune and retrain, share and fine-tune, then code places and values.

Han, Mao and Dally, "Deep Compression: Compressing Deep Neural Networks with Pruning, Trained
Quantization and Huffman Coding", ICLR 2016 (arXiv:1510.00149). Codebooks of 8 bits in convolutions
and 5 in linear layers. Pruning is by magnitude (Han et al., NIPS 2015).
"""

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

import compressors.relative_index_sparse_coding as sparse_coding
import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import CONVOLUTIONS, LINEAR, WEIGHTED, weight_of
from compressors.projectors.kmeans import KMeans
from compressors.training.tuning import tune
from compressors.weights._form import set_form_
from compressors.weights.entropy_coded import entropy_code_
from compressors.weights.masked import mask_
from compressors.weights.shared import Shared

NEEDS, TAKES = Needs.LABELS, WEIGHTED
Share = Annotated[float, Field(gt=0, le=1)]
Bits = Annotated[int, Field(ge=1, le=12)]


class Config(hwsim.config.Config):
    """Weights kept and bits of a codebook by kind of layer, and the training between the stages.

    One threshold for all layers of a kind leaves more of small last ones, as the paper does.
    `rounds` of pruning, each with its retraining, come to the share that is kept in equal ratios.
    """

    convolution_keep: Share = 0.35
    linear_keep: Share = 0.1
    rounds: Annotated[int, Field(ge=1)] = 2
    convolution_bits: Bits = 8
    linear_bits: Bits = 5
    coding: sparse_coding.Config = sparse_coding.Config()
    pruning_fit: Fit = Fit(epochs=1.0)
    sharing_fit: Fit = Fit(epochs=1.0, learning_rate=0.1)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers pruned, shared and entropy coded, the network trained in between."""
    found = {path: model.get_submodule(path) for path in layers}
    for done in range(1, config.rounds + 1):
        for kind, keep in ((CONVOLUTIONS, config.convolution_keep), (LINEAR, config.linear_keep)):
            some = [layer for layer in found.values() if isinstance(layer, kind)]
            weights = [weight_of(layer).detach() for layer in some]
            masks = largest(weights, keep ** (done / config.rounds))
            for part, mask in zip(some, masks, strict=True):
                mask_(part, mask)
        tune(model, data, config.pruning_fit)
    for layer in found.values():
        convolution = isinstance(layer, CONVOLUTIONS)
        means = KMeans(bits=config.convolution_bits if convolution else config.linear_bits)
        set_form_(layer, Shared(means.project(weight_of(layer).detach())))
    tune(model, data, config.sharing_fit)
    sparse_coding.compress(model, layers, config.coding, data)
    for layer in found.values():
        entropy_code_(layer)
    return model


def largest(weights: Sequence[Tensor], keep: float) -> list[Tensor]:
    """Where the given share of largest magnitudes of all is; of equal ones the first.

    Every layer keeps its largest.
    """
    if not weights:
        return []
    flat = torch.cat([weight.abs().flatten() for weight in weights])
    mask = torch.zeros(len(flat), dtype=torch.bool)
    mask[flat.argsort(stable=True, descending=True)[: round(keep * len(flat))]] = True
    parts = torch.split(mask, [weight.numel() for weight in weights])
    for part, weight in zip(parts, weights, strict=True):
        part[weight.abs().argmax()] = True
    return [part.reshape(weight.shape) for part, weight in zip(parts, weights, strict=True)]
