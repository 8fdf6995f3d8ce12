"""Weights go first from the layers that draw most energy, as simulated; the rest make up for them.

Yang, Chen and Sze, "Designing Energy-Efficient Convolutional Neural Networks using Energy-Aware
Pruning", CVPR 2017, arXiv:1611.05128, Sec. 4: of each filter the smallest weights go, those come
back that lower the error of the output map most, in absolute value, and what is left is fitted by
least squares; after the last layer the whole network is fine-tuned, and so on in rounds while it
is accurate enough.
"""

import copy
from collections.abc import Sequence
from functools import partial
from math import inf
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs, check_data
from compressors._descent import descend
from compressors._fit import Fit
from compressors._held_out import accuracy
from compressors._layers import WEIGHTED, weight_of
from compressors._probe import Columns, read_columns
from compressors._thinning import Samples, fitted, largest, restore_
from compressors._trail import Trail, key_of
from compressors.structure._cost import layer_energies_pj, layer_macs
from compressors.structure._repair import rewrite_
from compressors.structure._select import fine_tuned
from compressors.weights._form import code_of
from compressors.weights.masked import mask_, mask_of
from hwsim.progress import Progress, quiet

NAME = "energy_aware_pruning"
NEEDS, TAKES = Needs.LABELS, WEIGHTED
SIMULATED = 4  # images whose zeros the simulator sees
TRIALS = 5
Share = Annotated[float, Field(ge=0, le=1)]


class Config(hwsim.config.Config):
    """`keep` is the share of each filter's weights that stays in a round, `restored` the part of it
    that comes back after magnitude alone has chosen.

    With `drop`, a layer keeps the least of `keep`, its square root, and so on, with which accuracy
    falls by no more in all since the round began, so that layers that come first give most; a layer
    that cannot give so much keeps all. With `loss`, what counts is the last round after which
    accuracy has fallen by no more since the start; after the first that falls deeper, `gentler`
    others keep the square root of `keep`. Both are judged on a tenth of the data.

    `order` is by simulated energy on `machine`, which works on `batch` images at once, by
    multiply-accumulates or by number of weights, each of those that are left. Maps are compared at
    `positions` of each of `images`; `fit` fine-tunes at the end of a round.
    """

    keep: Annotated[float, Field(gt=0, le=1)] = 0.3
    restored: Annotated[float, Field(ge=0, lt=1)] = 0.1
    drop: Share | None = None
    rounds: Annotated[int, Field(ge=1, le=100)] = 1
    loss: Share | None = None
    gentler: Annotated[int, Field(ge=0, le=10)] = 0
    order: Literal["energy", "macs", "weights"] = "energy"
    machine: str = "eyeriss_v1"
    batch: Annotated[int, Field(ge=1, le=65536)] = 1
    images: Annotated[int, Field(ge=1)] = 256
    positions: Annotated[int, Field(ge=1)] = 10
    seed: Annotated[int, Field(ge=0)] = 0
    fit: Fit | None = None

    @property
    def judges(self) -> bool:
        """Whether accuracy decides anything."""
        return self.drop is not None or self.loss is not None


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers with masks, and other weights where these are not zero.

    A grouped convolution is refused, as is a layer whose weights are not free.
    """
    assert data is not None
    return prune(model, layers, config, data)


def prune(
    model: nn.Module,
    layers: Sequence[str],
    config: Config,
    data: Data,
    *,
    judge: Data | None = None,
    folder: Path | None = None,
    progress: Progress = quiet,
) -> nn.Module:
    """`compress`, which keeps each round in `folder` as it ends and goes on after the last.

    Accuracy is judged on `judge` in place of a tenth of the data: on images that the network was
    not trained on it is not flattered, and what pruning costs shows as it is.
    """
    check_data(NAME, NEEDS, data)
    learn = data
    if judge is None:
        learn, judge = _held_out(data, config.seed) if config.judges else (data, data)

    def round_(network: nn.Module, share: float) -> nn.Module:
        thinned = _thinned(network, layers, config, share, learn, judge, progress)
        return fine_tuned(thinned, config.fit, learn)

    job = (config.model_dump(mode="json"), [*layers], model.state_dict())
    seen = (learn.images, learn.labels, judge.images)
    return descend(
        model,
        layers,
        round_,
        partial(accuracy, data=judge) if config.loss is not None else lambda _: 0.0,
        floor=-inf if config.loss is None else accuracy(model, judge) - config.loss,
        keep=config.keep,
        rounds=config.rounds,
        gentler=config.gentler,
        trail=Trail(folder, key_of(*job, *seen) if folder else ""),
        progress=progress,
    )


def _thinned(
    model: nn.Module,
    layers: Sequence[str],
    config: Config,
    keep: float,
    learn: Data,
    judge: Data,
    progress: Progress,
) -> nn.Module:
    """The network after one pass over its layers, before it is fine-tuned."""
    few, original = learn.first(config.images), copy.deepcopy(model)
    least = -inf if config.drop is None else accuracy(model, judge) - config.drop
    sample = partial(read_columns, data=few, positions=config.positions, seed=config.seed)
    for path in ordered(model, layers, config, few):
        progress(f"pruning {path}")
        wanted = sample(original, [path])[path].sums
        columns = Columns(sample(model, [path])[path].inputs, wanted)
        for share in [keep] if config.drop is None else _shares(keep):
            trial = copy.deepcopy(model)
            thin_(trial.get_submodule(path), columns, config, share=share, path=path)
            if config.drop is None or accuracy(trial, judge) >= least:
                model = trial
                break
    return model


def ordered(model: nn.Module, layers: Sequence[str], config: Config, data: Data) -> list[str]:
    """The layers, the one that draws, computes or holds most first."""
    left = {path: code_of(model.get_submodule(path)).decode() for path in layers}
    match config.order:
        case "energy":
            images, batch = data.images[:SIMULATED], config.batch
            sizes = layer_energies_pj(model, images, machine=config.machine, batch=batch)
        case "macs":
            macs = layer_macs(model, data.images[:1])
            sizes = {p: macs[p] * float(w.count_nonzero()) / w.numel() for p, w in left.items()}
        case "weights":
            sizes = {path: float(weight.count_nonzero()) for path, weight in left.items()}
    return sorted(layers, key=lambda path: -sizes[path])


def _shares(least: float) -> list[float]:
    """From the least up to nearly all."""
    return [least**0.5**turn for turn in range(TRIALS)]


def thin_(layer: nn.Module, columns: Columns, config: Config, *, share: float, path: str) -> None:
    """Mask all but a share of what each filter has, and fit that to `columns.sums`."""
    weight, mask = weight_of(layer).detach(), mask_of(layer)
    rows = weight.flatten(1).double()
    free = torch.ones_like(rows, dtype=torch.bool) if mask is None else mask.flatten(1)
    samples = Samples(columns.inputs.flatten(1).double())
    sums = columns.sums.double().T.contiguous()
    counts = (share * free.sum(1)).round().clamp(min=1).long()
    back = (config.restored * counts).round().long()
    kept = largest(rows.abs().masked_fill(~free, -1), counts - back) & free
    for row, stays, may, wanted, more in zip(rows, kept, free, sums, back.tolist(), strict=True):
        if more:
            restore_(stays, may, row, samples, wanted, count=more)
        row[:] = fitted(row * stays, stays, samples, wanted)
    rewrite_(layer, rows.reshape(weight.shape).to(weight), path=path)
    mask_(layer, kept.reshape(weight.shape))


def _held_out(data: Data, seed: int) -> tuple[Data, Data]:
    """What is learned from, and a tenth on which accuracy is judged."""
    if len(data.images) == 1:
        return data, data
    return data.parted(max(1, len(data.images) // 10), seed=seed)
