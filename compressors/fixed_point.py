"""Dynamic fixed point: every layer's weights and activations on a power-of-two grid of its own.

Gysel, Motamedi and Ghiasi, "Hardware-oriented Approximation of Convolutional Neural Networks",
arXiv:1604.03168, and Gysel, "Ristretto", arXiv:1605.06402. No training; fractional lengths come
from the weights and from calibration images. The compressed network computes exactly what integer
hardware computes: codes times codes summed in an accumulator wide enough for every input, the bias
added at the accumulator's step, one rounding per activation (nearest, half to even) after the
activation function where that is the accumulator's only reader, saturation.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field
from torch import fx, nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._layers import WEIGHTED, weighted_layers
from compressors.fixed.calibration import Observer, check_weights, observe
from compressors.fixed.fold import FOLDABLE, fold_batch_norms
from compressors.fixed.graph import (
    choose_lengths,
    insert_quantiser,
    replace_layer,
    use_channels_last,
    widen,
)
from compressors.fixed.grid import Quantiser, Rule
from compressors.fixed.layers import FixedPointLayer
from compressors.fixed.operators import Role, role
from compressors.weights._form import plain
from hwsim.errors import InputError
from hwsim.workload import Layer, Network

IMAGE_AXES = 4


class Config(hwsim.config.Config):
    """Bits of a weight and of an activation, and how each chooses its fractional length.

    "max" follows the largest magnitude as Ristretto does, "mse" has the least mean squared error.
    `bias_correction` takes the mean error of the rounded weights out of the bias
    (arXiv:1906.04721), which Ristretto does not; it costs nothing at inference.
    """

    weight_bits: int = Field(default=8, ge=2, le=16)
    activation_bits: int = Field(default=8, ge=2, le=16)
    weight_range: Rule = "mse"
    activation_range: Rule = "mse"
    bias_correction: bool = True


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
    assert data is not None
    calibration = data.images
    traced = fold_batch_norms(trace(plain(model)))
    check_weights(traced)
    observer = observe(traced, calibration.detach().float())
    lengths, rounded = choose_lengths(
        traced, observer, bits=config.activation_bits, rule=config.activation_range
    )
    for node in list(traced.graph.nodes):
        if node in observer.with_tensors:
            make_exact(traced, node, lengths, observer, config)
    for node in rounded:
        insert_quantiser(traced, node, Quantiser(bits=config.activation_bits, fl=lengths[node]))
    if calibration.ndim == IMAGE_AXES:
        use_channels_last(traced)
    traced.delete_all_unused_submodules()
    traced.graph.lint()
    traced.recompile()
    return traced


def make_exact(
    traced: fx.GraphModule,
    node: fx.Node,
    lengths: dict[fx.Node, int],
    observer: Observer,
    config: Config,
) -> None:
    """Replace a layer by its fixed-point form; let sums, means and curves compute in float64."""
    operands = {operand: lengths[operand] for operand in node.all_input_nodes if operand in lengths}
    match role(traced, node):
        case Role.WEIGHTED:
            means = observer.ifmaps[str(node.target)]
            replace_layer(
                traced,
                node,
                weight_bits=config.weight_bits,
                rule=config.weight_range,
                ifmap_bits=config.activation_bits,
                ifmap_fl=next(iter(operands.values())),
                ifmap_means=means.values if config.bias_correction else None,
            )
        case Role.ROUNDS:
            widen(node, operands, bits=config.activation_bits)
        case _:
            pass


def lower(network: Network, model: nn.Module) -> Network:
    """The network's layers with the bits, accumulators and weight densities of `model`.

    Weighted layers are matched by name, and a name that only one side has raises InputError.
    """
    fixed = {n: m for n, m in model.named_modules() if isinstance(m, FixedPointLayer)}
    bits = next((m.bits for m in model.modules() if isinstance(m, Quantiser)), None)
    if bits is None:
        raise InputError(f"network {network.name!r}: the model is not in fixed point")
    unmatched = fixed.keys() ^ {layer.name for layer in network if layer.weighted}
    if unmatched:
        raise InputError(f"layer {min(unmatched)!r}: in the network or the model, but not in both")
    return network.with_layers(
        {layer.name: lower_layer(layer, fixed.get(layer.name), bits) for layer in network}
    )


def lower_layer(layer: Layer, fixed: FixedPointLayer | None, bits: int) -> Layer:
    """One layer at the compressed bits; a weightless one accumulates at most its window."""
    if fixed is None:
        window = layer.C * layer.R * layer.S * layer.operands
        psum = bits + (window - 1).bit_length()
        return layer.at_bits(ifmap=bits, weight=layer.weight.bits, ofmap=bits, psum=psum)
    weight_bits = fixed.formats.weight_bits
    narrow = layer.at_bits(ifmap=bits, weight=weight_bits, ofmap=bits, psum=fixed.psum_bits)
    return replace(narrow, weight=replace(narrow.weight, density=fixed.weight_density))


def trace(model: nn.Module) -> fx.GraphModule:
    """A float32 copy of the network as a graph, in evaluation mode. Raises InputError."""
    try:
        traced = fx.symbolic_trace(copy.deepcopy(model).eval().float())
    except fx.proxy.TraceError as fault:
        raise InputError(f"{type(model).__name__}: cannot be traced: {fault}") from fault
    placeholders = [node.name for node in traced.graph.nodes if node.op == "placeholder"]
    if len(placeholders) != 1:
        raise InputError(f"{type(model).__name__}: expected one input, found {placeholders}")
    if not any(isinstance(module, FOLDABLE) for module in traced.modules()):
        raise InputError(f"{type(model).__name__}: no convolution or linear layer to compress")
    return traced
