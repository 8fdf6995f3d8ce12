"""Dynamic fixed point: every layer's weights and activations on a power-of-two grid of its own.

Gysel, Motamedi and Ghiasi, "Hardware-oriented Approximation of Convolutional Neural Networks",
arXiv:1604.03168, and Gysel, "Ristretto", arXiv:1605.06402. No training; fractional lengths come
from the weights and from calibration images. The compressed network computes exactly what integer
hardware computes: codes times codes summed in an accumulator wide enough for every input, the bias
added at the accumulator's step, one rounding per activation (nearest, half to even) after the
activation function where that is the accumulator's only reader, saturation.
"""

from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field
from torch import fx, nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._ifmap_bits import ifmap_bits
from compressors._layers import WEIGHTED, weighted_layers
from compressors.fixed.bias_correction import with_corrected_bias
from compressors.fixed.calibration import Observer, check_weights, observe
from compressors.fixed.fold import fold_batch_norms, trace
from compressors.fixed.graph import bits_asked, check_span, choose_grids, weight_length
from compressors.fixed.grid import Grid, Rule
from compressors.fixed.layers import FixedPointLayer, Formats
from compressors.fixed.operators import Role, role
from compressors.fixed.recipe import Recipe, build_, fixed_layers, recipe_of
from compressors.weights._form import plain
from hwsim.errors import InputError
from hwsim.workload import Layer, Network

IMAGE_AXES = 4


class Widths(hwsim.config.Config):
    """The bits of one layer's weights and of the activation that it reads."""

    weight_bits: int = Field(ge=2, le=16)
    activation_bits: int = Field(ge=2, le=16)


class Config(hwsim.config.Config):
    """Bits of a weight and of an activation, and how each chooses its fractional length.

    "max" follows the largest magnitude as Ristretto does, "mse" has the least mean squared error.
    `bias_correction` takes the mean error of the rounded weights out of the bias
    (arXiv:1906.04721), which Ristretto does not; it costs nothing at inference. `widths` are those
    of layers, by module path, that differ; an activation that several read has the widest.
    """

    weight_bits: int = Field(default=8, ge=2, le=16)
    activation_bits: int = Field(default=8, ge=2, le=16)
    weight_range: Rule = "mse"
    activation_range: Rule = "mse"
    bias_correction: bool = True
    widths: dict[str, Widths] = Field(default_factory=dict)


NEEDS, TAKES = Needs.IMAGES, WEIGHTED


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> fx.GraphModule:
    """The network in fixed point, in evaluation mode, calibrated on the images of `data`.

    Convolutions and linear layers keep their module paths; batch-norms are folded into them.
    `quantisers.<node>` rounds each activation and knows its step. Raises InputError naming the
    layer that cannot be taken, or that was left out: the graph is in fixed point as a whole.
    """
    for path in weighted_layers(model).keys() - set(layers):
        raise InputError(f"layer {path!r}: fixed_point takes all layers or none")
    for path in config.widths.keys() - set(layers):
        raise InputError(f"fixed_point: widths: layer {path!r}: not in the network")
    assert data is not None
    traced = fold_batch_norms(trace(plain(model)))
    check_weights(traced)
    observer = observe(traced, data.images.detach().float())
    recipe = chosen(traced, observer, config, channels_last=data.images.ndim == IMAGE_AXES)
    if config.bias_correction:
        for path, formats in recipe.layers.items():
            layer, means = traced.get_submodule(path), observer.ifmaps[path].values
            assert isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear)
            traced.set_submodule(path, with_corrected_bias(layer, formats, means))
    build_(traced, recipe)
    return traced


def chosen(
    traced: fx.GraphModule, observer: Observer, config: Config, *, channels_last: bool
) -> Recipe:
    """Where the folded graph rounds, and on which grids: what calibration images tell."""
    tensors, by_layer = observer.with_tensors, config.widths
    asked = bits_asked(
        traced,
        tensors,
        bits=config.activation_bits,
        by_layer={path: widths.activation_bits for path, widths in by_layer.items()},
    )
    grids, rounded = choose_grids(traced, observer, asked, rule=config.activation_range)
    layers: dict[str, Formats] = {}
    widened: dict[str, tuple[str, ...]] = {}
    for node in (node for node in traced.graph.nodes if node in tensors):
        operands = {one: grids[one] for one in node.all_input_nodes if one in grids}
        found = role(traced, node)
        if found is Role.WEIGHTED:
            layers[node.target] = formats_of(traced, node, *operands.values(), config=config)
        elif found is Role.ROUNDS:
            check_span(node, list(operands.values()))
            widened[node.name] = tuple(one.name for one in operands)
    return Recipe(
        bits=config.activation_bits,
        layers=layers,
        rounded={node.name: grids[node] for node in rounded},
        widened=widened,
        channels_last=channels_last,
    )


def formats_of(traced: fx.GraphModule, node: fx.Node, ifmap: Grid, *, config: Config) -> Formats:
    """The formats of the layer that a node calls, whose ifmap is on a grid."""
    path = str(node.target)
    bits = config.widths[path].weight_bits if path in config.widths else config.weight_bits
    weight = traced.get_parameter(f"{path}.weight").detach()
    return Formats(
        weight_bits=bits,
        weight_fl=weight_length(weight, bits=bits, rule=config.weight_range),
        ifmap_bits=ifmap.bits,
        ifmap_fl=ifmap.fl,
    )


def lower(network: Network, model: nn.Module) -> Network:
    """The network's layers with the bits, accumulators and weight densities of `model`.

    Weighted layers are matched by name, and a name that only one side has raises InputError.
    """
    fixed, recipe = fixed_layers(model), recipe_of(model)
    if recipe is None:
        raise InputError(f"network {network.name!r}: the model is not in fixed point")
    unmatched = fixed.keys() ^ {layer.name for layer in network if layer.weighted}
    if unmatched:
        raise InputError(f"layer {min(unmatched)!r}: in the network or the model, but not in both")
    asked = {path: part.formats.ifmap_bits for path, part in fixed.items()}
    bits = ifmap_bits(network, asked, recipe.bits)
    layers = {}
    for layer in network:
        readers = [bits[name] for name in network.graph.successors(layer.name)]
        ofmap = max(readers, default=recipe.bits)
        layers[layer.name] = lower_layer(layer, fixed.get(layer.name), bits[layer.name], ofmap)
    return network.with_layers(layers)


def lower_layer(layer: Layer, fixed: FixedPointLayer | None, ifmap: int, ofmap: int) -> Layer:
    """One layer at the compressed bits; a weightless one accumulates at most its window."""
    if fixed is None:
        window = layer.C * layer.R * layer.S * layer.operands
        psum = ifmap + (window - 1).bit_length()
        return layer.at_bits(ifmap=ifmap, weight=layer.weight.bits, ofmap=ofmap, psum=psum)
    weight = fixed.formats.weight_bits
    narrow = layer.at_bits(ifmap=ifmap, weight=weight, ofmap=ofmap, psum=fixed.psum_bits)
    return replace(narrow, weight=replace(narrow.weight, density=fixed.weight_density))
