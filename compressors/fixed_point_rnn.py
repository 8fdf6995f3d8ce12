"""Fixed point of recurrent networks: as few bits for each matrix as its sensitivity allows.

Shin, Hwang and Sung, "Fixed-point performance analysis of recurrent neural networks", ICASSP 2016,
arXiv:1512.01322. Recurrent networks are linear layers here, called once for each step of time; any
other network will do.
"""

import copy
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Annotated

from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit, fit
from compressors._held_out import accuracy, split
from compressors._layers import WEIGHTED, weight_of
from compressors.activations._calibrate import observe
from compressors.activations._quantiser import quantise_input_
from compressors.activations.uniform import Settings, calibrated
from compressors.fixed.calibration import Observation
from compressors.projectors.uniform import Uniform
from compressors.weights._form import set_form_
from compressors.weights.rounded import Rounded
from hwsim.errors import InputError

NEEDS, TAKES = Needs.LABELS, WEIGHTED
Width = Annotated[int, Field(ge=2, le=16)]
Widths = Annotated[tuple[Width, ...], Field(min_length=1)]
Table = dict[str, dict[int, float]]  # what top-1 loses by layer and width
State = tuple[int, float, tuple[int, ...]]  # bits of all weights so far, loss, widths so far


class Config(hwsim.config.Config):
    """The least bits of weights for which the losses of `widths`, each found alone, sum to at most
    `margin` of top-1; or, where `bits_per_weight` is given, the least loss within so many.

    Signals take the narrowest of `signal_widths` that alone loses at most `margin`.
    """

    widths: Widths = (2, 3, 4, 6, 8)
    signal_widths: Widths = (4, 6, 8)
    margin: Annotated[float, Field(ge=0, le=1)] = 0.02
    bits_per_weight: Annotated[float, Field(gt=0)] | None = None
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.2
    fit: Fit = Fit(epochs=2.0, learning_rate=0.01, weight_decay=0.0)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers in the bits they need, retrained. Raises InputError for an impossible budget."""
    assert data is not None
    training, held_out = split(data, share=config.held_out, seed=config.fit.seed)
    assert training.labels is not None
    seen = observe(model, layers, training.images, method="fixed_point_rnn")
    sizes = {path: weight_of(model.get_submodule(path)).numel() for path in layers}
    widths = allocation(sensitivity(model, layers, config, held_out), sizes, config)
    signals = signal_width(model, seen, config, held_out)
    for path, bits in widths.items():
        round_weights_(model.get_submodule(path), bits)
    round_signals_(model, seen, signals)
    fit(model, training.images, training.labels, config.fit)
    return model


def round_weights_(layer: nn.Module, bits: int) -> None:
    """Symmetric levels at the step of least squared error."""
    levels = Uniform(bits=bits, rule="mse", narrow=True)
    set_form_(layer, Rounded(levels.project(weight_of(layer).detach())))


def round_signals_(model: nn.Module, seen: Mapping[str, Observation], bits: int) -> None:
    """Ifmaps at the step of least squared error."""
    for path, observation in seen.items():
        quantiser = calibrated(Settings(bits=bits, rule="mse"), observation)
        quantise_input_(model.get_submodule(path), quantiser)


def sensitivity(model: nn.Module, layers: Sequence[str], config: Config, held_out: Data) -> Table:
    """How much top-1 falls where one layer alone has so many bits; no less than 0."""
    whole = accuracy(model, held_out)
    table: Table = {path: {} for path in layers}
    for path, bits in product(layers, config.widths):
        tried = copy.deepcopy(model)
        round_weights_(tried.get_submodule(path), bits)
        table[path][bits] = max(0.0, whole - accuracy(tried, held_out))
    return table


def signal_width(
    model: nn.Module, seen: Mapping[str, Observation], config: Config, held_out: Data
) -> int:
    """The narrowest width of all signals that alone loses little; else the widest."""
    least = accuracy(model, held_out) - config.margin
    for bits in sorted(config.signal_widths):
        tried = copy.deepcopy(model)
        round_signals_(tried, seen, bits)
        if accuracy(tried, held_out) >= least:
            return bits
    return max(config.signal_widths)


def allocation(table: Table, sizes: Mapping[str, int], config: Config) -> dict[str, int]:
    """The best width for each layer. Raises InputError where the budget of bits is too small.

    Where even the widest lose more than the margin, the least loss wins.
    """
    states = frontier(table, sizes)
    if config.bits_per_weight is None:
        fitting = [state for state in states if state[1] <= config.margin + 1e-12]
        chosen = fitting[0] if fitting else states[-1]
    else:
        most = config.bits_per_weight * sum(sizes.values())
        fitting = [state for state in states if state[0] <= most]
        if not fitting:
            raise InputError(
                f"fixed_point_rnn: bits_per_weight = {config.bits_per_weight}: "
                f"the narrowest widths take {states[0][0] / sum(sizes.values()):.3g}"
            )
        chosen = fitting[-1]
    return dict(zip(table, chosen[2], strict=True))


def frontier(table: Table, sizes: Mapping[str, int]) -> list[State]:
    """All choices of widths that no other beats in both bits and loss; the fewest bits first."""
    states: list[State] = [(0, 0.0, ())]
    for path, losses in table.items():
        grown = sorted(
            (bits + sizes[path] * width, lost + loss, (*widths, width))
            for bits, lost, widths in states
            for width, loss in losses.items()
        )
        states = []
        for state in grown:
            if not states or state[1] < states[-1][1] - 1e-12:
                states.append(state)
    return states
