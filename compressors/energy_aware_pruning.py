"""Weights go first from the layers that draw most energy, as simulated; the rest make up for them.

Yang, Chen and Sze, "Designing Energy-Efficient Convolutional Neural Networks using Energy-Aware
Pruning", CVPR 2017, arXiv:1611.05128, Sec. 4: of each filter the smallest weights go, those come
back that lower the error of the output map most, in absolute value, and what is left is fitted by
least squares; after the last layer the whole network is fine-tuned.
"""

import copy
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs, check_data
from compressors._fit import Fit
from compressors._layers import WEIGHTED, weight_of
from compressors._probe import Columns, batches, read_columns
from compressors._thinning import fitted, largest, restore_
from compressors.structure._cost import layer_energies_pj
from compressors.structure._repair import rewrite_
from compressors.structure._select import check_fit, fine_tuned
from compressors.weights.masked import mask_, mask_of
from hwsim.accuracy import one_thread

NAME = "energy_aware_pruning"
NEEDS, TAKES = Needs.IMAGES, WEIGHTED
SIMULATED = 4  # images whose zeros the simulator sees
TRIALS = 5


class Config(hwsim.config.Config):
    """`keep` is the share of each filter's weights that stays, `restored` the part of it that
    comes back after magnitude alone has chosen.

    With `drop`, a layer keeps the least of `keep`, its square root, and so on, with which accuracy
    on a tenth of the data falls by no more, so that layers that come first give most; it needs
    labels, and a layer that cannot give so much keeps all. `order` is by simulated energy on
    `machine`, or by number of weights. Maps are compared at `positions` of each of `images`; `fit`
    fine-tunes.
    """

    keep: Annotated[float, Field(gt=0, le=1)] = 0.3
    restored: Annotated[float, Field(ge=0, lt=1)] = 0.1
    drop: Annotated[float, Field(ge=0, le=1)] | None = None
    order: Literal["energy", "weights"] = "energy"
    machine: str = "eyeriss_v1"
    images: Annotated[int, Field(ge=1)] = 256
    positions: Annotated[int, Field(ge=1)] = 10
    seed: Annotated[int, Field(ge=0)] = 0
    fit: Fit | None = None


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers with masks, and other weights where these are not zero.

    A grouped convolution is refused, as is a layer whose weights are not free.
    """
    assert data is not None
    check_fit(config.fit, data, method=NAME)
    if config.drop is not None:
        check_data(NAME, Needs.LABELS, data)
    learn, judge = (data, data) if config.drop is None else _held_out(data, config.seed)
    few, original = learn.first(config.images), copy.deepcopy(model)
    least = 0.0 if config.drop is None else _accuracy(model, judge) - config.drop
    sample = partial(read_columns, data=few, positions=config.positions, seed=config.seed)
    for path in ordered(model, layers, config, few):
        wanted = sample(original, [path])[path].sums
        columns = Columns(sample(model, [path])[path].inputs, wanted)
        for share in [config.keep] if config.drop is None else _shares(config.keep):
            trial = copy.deepcopy(model)
            thin_(trial.get_submodule(path), columns, config, share=share, path=path)
            if config.drop is None or _accuracy(trial, judge) >= least:
                model = trial
                break
    return fine_tuned(model, config.fit, learn)


def ordered(model: nn.Module, layers: Sequence[str], config: Config, data: Data) -> list[str]:
    """The layers, the one that draws or holds most first."""
    if config.order == "weights":
        sizes = {path: float(weight_of(model.get_submodule(path)).numel()) for path in layers}
    else:
        sizes = layer_energies_pj(model, data.images[:SIMULATED], machine=config.machine)
    return sorted(layers, key=lambda path: -sizes[path])


def _shares(least: float) -> list[float]:
    """From the least up to nearly all."""
    return [least**0.5**turn for turn in range(TRIALS)]


def thin_(layer: nn.Module, columns: Columns, config: Config, *, share: float, path: str) -> None:
    """Mask a share of each filter's weights and fit the others to `columns.sums`."""
    weight, mask = weight_of(layer).detach(), mask_of(layer)
    rows = weight.flatten(1).double()
    free = torch.ones_like(rows, dtype=torch.bool) if mask is None else mask.flatten(1)
    inputs, sums = columns.inputs.flatten(1).double(), columns.sums.double()
    count = max(1, round(share * rows.shape[1]))
    back = round(config.restored * count)
    kept = largest(rows.abs().masked_fill(~free, -1), count - back) & free
    for row, stays, may, wanted in zip(rows, kept, free, sums.T, strict=True):
        if back:
            restore_(stays, may, row, inputs, wanted, count=back)
        row[:] = fitted(row * stays, stays, inputs, wanted)
    rewrite_(layer, rows.reshape(weight.shape).to(weight), path=path)
    mask_(layer, kept.reshape(weight.shape))


def _held_out(data: Data, seed: int) -> tuple[Data, Data]:
    """What is learned from, and a tenth on which accuracy is judged."""
    if len(data.images) == 1:
        return data, data
    return data.parted(max(1, len(data.images) // 10), seed=seed)


def _accuracy(model: nn.Module, data: Data) -> float:
    """Top-1 in 0..1."""
    right = 0
    with torch.no_grad(), one_thread():
        for images, labels in batches(data):
            right += int((model(images).argmax(1) == labels).sum())
    return right / len(data.images)
