"""Turns a float graph into a fixed-point one: where it rounds, and with which exact operators."""

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from compressors.fixed.calibration import Observer
from compressors.fixed.grid import Grid, Quantiser, Rule, fractional_length, sample
from compressors.fixed.layers import FixedPointConv, FixedPointLayer, FixedPointLinear, Formats
from compressors.fixed.operators import ADDITIONS, Role, layer_name, operator_of, role
from hwsim.errors import InputError

FLOAT64_SIGNIFICAND_BITS = 53
WEIGHT_SAMPLES = 1 << 20
RELU = {nn.ReLU, functional.relu, torch.relu, "relu"}


def choose_grids(
    traced: fx.GraphModule, observer: Observer, bits: dict[fx.Node, int], *, rule: Rule
) -> tuple[dict[fx.Node, Grid], list[fx.Node]]:
    """The grid of every value that is on one, and the nodes that need rounding.

    `bits` are each activation's, see `bits_asked`.
    """
    grids: dict[fx.Node, Grid] = {}
    rounded = []
    for node in traced.graph.nodes:
        if node not in observer.with_tensors or node.op == "output":
            continue
        operands = [grids.get(operand) for operand in node.all_input_nodes]
        if not leaves_grid(traced, node, operands):
            grids[node] = next(grid for grid in operands if grid is not None)
        elif not clipped_next(traced, node):
            seen, width = observer.observations[node], bits[node]
            fl = fractional_length(
                seen.values, largest=seen.largest, bits=width, rule=rule, kind="activation"
            )
            grids[node] = Grid(width, fl)
            rounded.append(node)
    return grids, rounded


def bits_asked(
    traced: fx.GraphModule, tensors: set[fx.Node], *, bits: int, by_layer: dict[str, int]
) -> dict[fx.Node, int]:
    """The bits of each activation: what the reader wants that wants most.

    Layers want what `by_layer` says by path, sums and means `bits`; what only moves, selects or
    clips values wants what its own readers do.
    """
    found: dict[fx.Node, int] = {}
    for node in reversed(traced.graph.nodes):
        wanted = []
        for reader in node.users:
            if reader not in tensors:
                continue
            match role(traced, reader):
                case Role.WEIGHTED:
                    wanted.append(by_layer.get(str(reader.target), bits))
                case Role.KEEPS | Role.CLIPS | Role.JOINS:
                    wanted.append(found[reader])
                case _:
                    wanted.append(bits)
        found[node] = max(wanted, default=bits)
    return found


def leaves_grid(traced: fx.GraphModule, node: fx.Node, operands: list[Grid | None]) -> bool:
    """Whether a node's result lies on no grid yet; `operands` are its operands' grids."""
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


def check_span(node: fx.Node, operands: list[Grid]) -> None:
    """Raise InputError where float64 cannot hold the sum of values on these grids exactly."""
    lengths = [grid.fl for grid in operands]
    bits = max(lengths) - min(lengths) + max(grid.bits for grid in operands) + 1
    if node.target in ADDITIONS and bits > FLOAT64_SIGNIFICAND_BITS:
        raise InputError(f"layer {layer_name(node)!r}: its operands' ranges are too far apart")


def widen(node: fx.Node, operand: fx.Node) -> None:
    """Read an operand in float64, where sums, products and one division of codes lose nothing."""
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
