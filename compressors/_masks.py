"""Which methods can keep the zeros of a layer that is pruned."""

from collections.abc import Sequence

from torch import nn

from compressors.weights.masked import mask_of
from hwsim.errors import InputError


def refuse_masks(model: nn.Module, layers: Sequence[str], *, method: str) -> None:
    """Raises InputError for a layer with a mask, where a method's codes have no zeros to keep."""
    for path in layers:
        if mask_of(model.get_submodule(path)) is not None:
            raise InputError(
                f"layer {path!r}: {method}: it is pruned, and would not keep its zeros"
            )
