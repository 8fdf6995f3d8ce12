"""Product quantisation: runs of input channels, each one of a codebook's rows.

Jegou, Douze and Schmid, "Product Quantization for Nearest Neighbor Search", TPAMI 2011.
"""

from collections.abc import Sequence

from torch import nn

from compressors._data import Data, Needs
from compressors._layers import WEIGHTED, weight_of
from compressors._masks import refuse_masks
from compressors.projectors.product import ProductKMeans
from compressors.weights._form import set_form_
from compressors.weights.product import ProductTable

NEEDS, TAKES = Needs.NOTHING, WEIGHTED


class Config(ProductKMeans):
    """Input channels of a run, bits of an index, one codebook for all runs or one for each."""


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers read from codebooks, which later training can move."""
    refuse_masks(model, layers, method="product_quantization")
    for path in layers:
        layer = model.get_submodule(path)
        set_form_(layer, ProductTable(config.project(weight_of(layer).detach())))
    return model
