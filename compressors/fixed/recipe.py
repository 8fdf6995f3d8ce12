"""What makes a folded float graph a fixed-point one, as a record that a file can hold.

A graph in fixed point is its recipe carried out on the network it came from, and the codes of its
weights: so it can be written to disk and be made again.
"""

import copy
from typing import cast

from pydantic import Field
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

import hwsim.config
from compressors.fixed.fold import called_module, fold_batch_norms, trace
from compressors.fixed.graph import fixed_layer, insert_quantiser, use_channels_last, widen
from compressors.fixed.grid import Grid, Quantiser
from compressors.fixed.layers import FixedPointLayer, Formats
from compressors.structure._widths import Widths, set_widths_

META = "fixed_point"  # under which a graph keeps its recipe


class Recipe(hwsim.config.Config):
    """What to do with a folded graph, by the names of its nodes.

    `layers` has the formats of convolutions and linear layers by path, `rounded` the grid of every
    node whose result is rounded, `widened` the operands that a node takes in float64. `bits` are
    those of a value that no layer asks for in its own width.
    """

    bits: int = Field(ge=2, le=16)
    layers: dict[str, Formats]
    rounded: dict[str, Grid]
    widened: dict[str, tuple[str, ...]]
    channels_last: bool


def build_(traced: fx.GraphModule, recipe: Recipe) -> None:
    """Bring a folded graph into fixed point."""
    nodes = {node.name: node for node in traced.graph.nodes}
    for path, formats in recipe.layers.items():
        traced.set_submodule(path, fixed_layer(traced.get_submodule(path), path, formats))
    for name, operands in recipe.widened.items():
        for operand in operands:
            widen(nodes[name], nodes[operand])
    for name, grid in recipe.rounded.items():
        insert_quantiser(traced, nodes[name], Quantiser(bits=grid.bits, fl=grid.fl))
    if recipe.channels_last:
        use_channels_last(traced)
    traced.delete_all_unused_submodules()
    traced.graph.lint()
    traced.recompile()
    traced.meta[META] = recipe


def recipe_of(model: nn.Module) -> Recipe | None:
    """The recipe of a graph in fixed point; None for any other network."""
    return model.meta.get(META) if isinstance(model, fx.GraphModule) else None


def fixed_layers(model: nn.Module) -> dict[str, FixedPointLayer]:
    """Every layer in fixed point, by its path."""
    return {path: part for path, part in model.named_modules() if isinstance(part, FixedPointLayer)}


def rebuilt(model: nn.Module, recipe: Recipe, widths: Widths) -> fx.GraphModule:
    """The graph in fixed point of a float network, its layers as wide as `widths` say.

    All its codes are zero. Raises KeyError or AttributeError for a recipe of another network.
    """
    blank = copy.deepcopy(model)
    for name, tensor in blank.state_dict().items():
        tensor.fill_(name.endswith("running_var"))
    set_widths_(blank, _unfolded(trace(blank), widths))
    folded = fold_batch_norms(trace(blank))
    build_(folded, recipe)
    return folded


def _unfolded(traced: fx.GraphModule, widths: Widths) -> Widths:
    """The widths of a network before its batch-norms were folded into the layers before them."""
    found = dict(widths)
    for node in traced.graph.nodes:
        if isinstance(called_module(traced, node), BatchNorm):
            layer = node.target if node.target in widths else cast(fx.Node, node.args[0]).target
            wide = widths[str(layer)]
            key = "out_channels" if "out_channels" in wide else "out_features"
            found[str(node.target)] = {"num_features": wide[key]}
    return found
