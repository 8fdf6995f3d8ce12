"""Weight sharing: a codebook of 2^bits values for each layer, which fine-tuning can train.

Han, Mao and Dally, "Deep Compression", ICLR 2016, Sec. 3.
"""

from collections.abc import Sequence

from torch import nn

from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import WEIGHTED, weight_of
from compressors.projectors.kmeans import KMeans
from compressors.training.tuning import has_labels, tune
from compressors.weights._form import set_form_
from compressors.weights.shared import Shared

NEEDS, TAKES = Needs.NOTHING, WEIGHTED


class Config(KMeans):
    """How many values a layer may have, where they start, and the training of the codebooks.

    Weights that are pruned stay zero; other zeros have an entry of their own, which trains as all
    do. Without labels nothing is trained.
    """

    fit: Fit = Fit(epochs=1.0, learning_rate=0.1)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers with shared weights."""
    for path in layers:
        layer = model.get_submodule(path)
        set_form_(layer, Shared(config.project(weight_of(layer).detach())))
    return tune(model, data, config.fit) if has_labels(data) else model
