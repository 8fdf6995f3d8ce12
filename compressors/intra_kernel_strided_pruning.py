"""Strided pruning within kernels: every s-th weight of a kernel stays.

Anwar, Hwang and Sung, "Structured Pruning of Deep Convolutional Neural Networks", ACM JETC 13(3),
2017, arXiv:1512.08571, Sec. 3. The paper goes on to fixed point, a step of its own in a plan, and
searches by particles, as `particle_filter_pruning` does; here the offset that keeps the largest
magnitudes is taken.
"""

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import CONVOLUTIONS
from compressors.pruning.repair import Retrain
from compressors.pruning.targets import Target, targets
from hwsim.errors import InputError

NEEDS, TAKES = Needs.LABELS, CONVOLUTIONS


class Config(hwsim.config.Config):
    """Weight i of a kernel, in C order, stays where (i - offset) mod `stride` is 0.

    With `same`, all kernels that read an input channel share an offset, so that rows of the lowered
    matrix vanish and a dense product is left; otherwise each kernel has its own.
    """

    stride: Annotated[int, Field(ge=2)] = 3
    same: bool = True
    fit: Fit = Fit()


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The network with strided masks, retrained. Raises InputError for a kernel of few weights."""
    assert data is not None
    for target in targets(model, layers):
        mask = _mask(target, config)
        grid = (_readers(target, config), *mask.shape[1:])
        target.cut_(mask, None if grid == mask.shape else grid)
    Retrain(fit=config.fit).mend_(model, data, None)
    return model


def _readers(target: Target, config: Config) -> int:
    """How many sets of kernels have an offset of their own for each input channel of a group."""
    assert isinstance(target.layer, CONVOLUTIONS)
    return target.layer.groups if config.same else len(target.value)


def _mask(target: Target, config: Config) -> Tensor:
    """The strided mask of the largest magnitudes, [K, C, R, S]."""
    size = target.value.abs().flatten(2)
    K, C, places = size.shape
    if places < config.stride:
        raise InputError(
            f"layer {target.path!r}: intra_kernel_strided_pruning: stride = {config.stride}: "
            f"its kernels have {places} weights"
        )
    index = torch.arange(places)
    combs = torch.stack([(index - offset) % config.stride == 0 for offset in range(config.stride)])
    kept = size @ combs.float().T
    sets = _readers(target, config)
    best = kept.reshape(sets, K // sets, C, -1).sum(1).argmax(2)
    return combs[best.repeat_interleave(K // sets, 0)].reshape(target.value.shape)
