"""Shared weights where the loss curves most: Hessian-weighted k-means, and entropy constraints.

Choi, El-Khamy and Lee, "Towards the Limit of Network Quantization", ICLR 2017 (arXiv:1612.01543).
All layers are quantised together, since curvature tells what matters across layers too; the
symbols are Huffman coded.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

import hwsim.config
from compressors._curvature import Curvature, curvature
from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import WEIGHTED, weight_of
from compressors.codes.codebook import Codebook
from compressors.projectors.entropy_constrained import Quantised, at_rate, uniform_cells
from compressors.projectors.kmeans import centroids, nearest, starts
from compressors.training.tuning import tune
from compressors.weights._form import set_form_
from compressors.weights.entropy_coded import entropy_code_
from compressors.weights.shared import Shared

NEEDS, TAKES = Needs.LABELS, WEIGHTED
LEAST_SHARE = 1e-6  # of the mean curvature; a weight without any still has a nearest value


class Config(hwsim.config.Config):
    """The quantiser, 2^`bits` values at most, `rate_bits` a weight for the entropy-constrained one.

    `together`: one codebook for all layers, of which each stores the values that it uses.
    """

    quantiser: Literal["kmeans", "entropy_constrained", "uniform"] = "kmeans"
    importance: Curvature | Literal["equal"] = "gauss_newton"
    bits: Annotated[int, Field(ge=1, le=12)] = 5
    rate_bits: Annotated[float, Field(gt=0, le=12)] = 3.0
    together: bool = True
    images: Annotated[int, Field(ge=1)] = 256
    fit: Fit = Fit(epochs=0, learning_rate=0.1)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers with shared weights, entropy coded; trained if the settings say so."""
    assert data is not None
    weights = {path: weight_of(model.get_submodule(path)).detach() for path in layers}
    if config.importance == "equal":
        found = {path: torch.ones_like(weight) for path, weight in weights.items()}
    else:
        found = curvature(model, layers, data.first(config.images), config.importance)
    groups = [list(layers)] if config.together else [[path] for path in layers]
    for group in groups:
        codes = shared([weights[path] for path in group], [found[path] for path in group], config)
        for path, code in zip(group, codes, strict=True):
            layer = model.get_submodule(path)
            set_form_(layer, Shared(code))
            entropy_code_(layer)
    return tune(model, data, config.fit) if config.fit.epochs else model


def shared(weights: list[Tensor], importances: list[Tensor], config: Config) -> list[Codebook]:
    """Codebooks of the values that weights of several layers share; zeros stay zero."""
    kept = [weight != 0 for weight in weights]
    values = torch.cat([w[k] for w, k in zip(weights, kept, strict=True)]).double()
    importance = torch.cat([h[k] for h, k in zip(importances, kept, strict=True)]).double()
    if not len(values):
        return [Codebook(torch.zeros_like(weight).long(), torch.zeros(1)) for weight in weights]
    importance = importance.clamp(min=LEAST_SHARE * float(importance.mean()))
    least = torch.finfo(torch.float64).tiny
    table, members = quantised(values, importance.clamp(min=least), config)
    parts = torch.split(members, [int(k.sum()) for k in kept])
    return [_own(table, part, k) for part, k in zip(parts, kept, strict=True)]


def quantised(values: Tensor, importance: Tensor, config: Config) -> Quantised:
    """A table, and which of its entries each value takes."""
    count = 2**config.bits
    match config.quantiser:
        case "kmeans":
            table = centroids(values, count, importance)
            return table, nearest(values, table)
        case "entropy_constrained":
            first = starts(values, count, start="linear")
            return at_rate(values, importance, first, rate_bits=config.rate_bits)
        case "uniform":
            return uniform_cells(values, importance, count)


def _own(table: Tensor, members: Tensor, kept: Tensor) -> Codebook:
    """A layer's own entries of a table, after a zero if it has zeros."""
    used, own = torch.unique(members, return_inverse=True)
    reserved = int(not bool(kept.all()))
    indices = torch.zeros(kept.shape, dtype=torch.int64)
    indices[kept] = own + reserved
    return Codebook(indices, torch.cat([table.new_zeros(reserved), table[used]]))
