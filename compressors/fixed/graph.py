"""Turns a float graph into a fixed-point one: where it rounds, and with which exact operators."""

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from compressors.fixed.bias_correction import with_corrected_bias
from compressors.fixed.calibration import Observer
from compressors.fixed.grid import Quantiser, Rule, fractional_length, sample
from compressors.fixed.layers import FixedPointConv, FixedPointLayer, FixedPointLinear, Formats
from compressors.fixed.operators import ADDITIONS, Role, layer_name, operator_of, role
from hwsim.errors import InputError

FLOAT64_SIGNIFICAND_BITS = 53
WEIGHT_SAMPLES = 1 << 20
RELU = {nn.ReLU, functional.relu, torch.relu, "relu"}


def choose_lengths(
    traced: fx.GraphModule, observer: Observer, *, bits: int, rule: Rule
) -> tuple[dict[fx.Node, int], list[fx.Node]]:
    """The fractional length of every value on a grid, and the nodes that need rounding."""
    lengths: dict[fx.Node, int] = {}
    rounded = []
    for node in traced.graph.nodes:
        if node not in observer.with_tensors or node.op == "output":
            continue
        operands = [lengths.get(operand) for operand in node.all_input_nodes]
        if not leaves_grid(traced, node, operands):
            lengths[node] = next(fl for fl in operands if fl is not None)
        elif not clipped_next(traced, node):
            seen = observer.observations[node]
            lengths[node] = fractional_length(
                seen.values,
                largest=seen.largest,
                bits=bits,
                rule=rule,
                kind="activation",
            )
            rounded.append(node)
    return lengths, rounded


def leaves_grid(traced: fx.GraphModule, node: fx.Node, operands: list[int | None]) -> bool:
    """Whether a node's result lies on no grid yet; `operands` are its operands' lengths."""
    match role(traced, node):
        case Role.KEEPS:
            return False
        case Role.JOINS:
            return len(set(operands)) > 1
        case Role.CLIPS:
            return operands == [None] or operator_of(traced, node) not in RELU
        case _:
            return True


def clipped_next(traced: fx.GraphModule, node: fx.Node) -> bool:
    """Whether an activation function that commutes with rounding is the only reader."""
    if role(traced, node) in (Role.SOURCE, Role.JOINS) or len(node.users) != 1:
        return False
    return role(traced, next(iter(node.users))) is Role.CLIPS


def replace_layer(
    traced: fx.GraphModule,
    node: fx.Node,
    *,
    weight_bits: int,
    rule: Rule,
    ifmap_bits: int,
    ifmap_fl: int,
    ifmap_means: Tensor | None,
) -> None:
    """Put a fixed-point layer in a float one's place; corrects its bias where means are given."""
    layer = traced.get_submodule(str(node.target))
    assert isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear)
    formats = Formats(
        weight_bits=weight_bits,
        weight_fl=weight_length(layer.weight.detach(), bits=weight_bits, rule=rule),
        ifmap_bits=ifmap_bits,
        ifmap_fl=ifmap_fl,
    )
    if ifmap_means is not None:
        layer = with_corrected_bias(layer, formats, ifmap_means)
    traced.set_submodule(str(node.target), fixed_layer(layer, str(node.target), formats))


def weight_length(weight: Tensor, *, bits: int, rule: Rule) -> int:
    """The fractional length of a layer's weights."""
    drawn = sample(weight, at_most=WEIGHT_SAMPLES, seed=0)
    largest = float(weight.abs().max())
    return fractional_length(drawn, largest=largest, bits=bits, rule=rule, kind="weight")


def fixed_layer(layer: nn.Module, name: str, formats: Formats) -> FixedPointLayer:
    """The fixed-point form of a convolution or linear layer."""
    if isinstance(layer, nn.Linear):
        return FixedPointLinear(layer, name=name, formats=formats)
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)
    return FixedPointConv(layer, name=name, formats=formats)


def widen(node: fx.Node, operands: dict[fx.Node, int], *, bits: int) -> None:
    """Compute a node in float64, where sums, products and one division of codes lose nothing."""
    span = max(operands.values()) - min(operands.values())
    if node.target in ADDITIONS and bits + span + 1 > FLOAT64_SIGNIFICAND_BITS:
        raise InputError(f"layer {layer_name(node)!r}: its operands' ranges are too far apart")
    for operand in operands:
        with node.graph.inserting_before(node):
            node.replace_input_with(operand, node.graph.call_method("double", (operand,)))


def insert_quantiser(traced: fx.GraphModule, node: fx.Node, quantiser: Quantiser) -> None:
    """Round a node's result; every reader sees the rounded values."""
    path = f"quantisers.{node.name}"
    traced.add_submodule(path, quantiser)
    with traced.graph.inserting_after(node):
        rounded = traced.graph.call_module(path, (node,))
    node.replace_all_uses_with(rounded, delete_user_cb=lambda reader: reader is not rounded)


def use_channels_last(traced: fx.GraphModule) -> None:
    """Lay images out channels-last from the start; views then become reshapes."""
    placeholder = next(node for node in traced.graph.nodes if node.op == "placeholder")
    with traced.graph.inserting_after(placeholder):
        laid_out = traced.graph.call_method("contiguous", (placeholder,))
    placeholder.replace_all_uses_with(laid_out, delete_user_cb=lambda user: user is not laid_out)
    laid_out.kwargs = {"memory_format": torch.channels_last}
    for node in traced.graph.nodes:
        if node.op == "call_method" and node.target == "view":
            node.target = "reshape"
