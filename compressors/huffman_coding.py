"""Huffman codes for whatever symbols a layer's weights are stored as.

Huffman, 1952; stage three of Deep Compression (Han, Mao and Dally, ICLR 2016, Sec. 4).
"""

from collections.abc import Sequence

from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._layers import WEIGHTED
from compressors.weights.entropy_coded import entropy_code_

NEEDS, TAKES = Needs.NOTHING, WEIGHTED


class Config(hwsim.config.Config):
    """Nothing to choose."""


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The same network, stored in fewer bits."""
    for path in layers:
        entropy_code_(model.get_submodule(path))
    return model
