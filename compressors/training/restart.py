"""What a network learnt around weights that a method gives up starts anew with them."""

from collections.abc import Container

from torch import fx, nn

from compressors._fit import BatchNorm
from compressors.structure._flow import graph_of


def restart_norms_(model: nn.Module, layers: Container[str]) -> None:
    """Scale 1 and shift 0 for the batch normalisations right behind `layers`.

    Those that suit a layer's own weights hide, behind others, what deep networks could learn from.
    Raises InputError where torch.fx cannot tell what follows a layer.
    """
    if any(isinstance(part, BatchNorm) for part in model.modules()):
        for node in graph_of(model).nodes:
            norm = model.get_submodule(str(node.target)) if _follows(node, layers) else None
            if isinstance(norm, BatchNorm) and norm.affine:
                nn.init.ones_(norm.weight)
                nn.init.zeros_(norm.bias)


def _follows(node: fx.Node, layers: Container[str]) -> bool:
    """Whether a node calls a module on what one of `layers` yields."""
    return node.op == "call_module" and any(
        before.op == "call_module" and before.target in layers for before in node.all_input_nodes
    )
