"""Weights stored in a Huffman code; their values are what they were."""

from torch import Tensor

from compressors.codes._code import Code
from compressors.codes.huffman import Huffman
from compressors.weights._form import Wrapper


class EntropyCoded(Wrapper):
    """The same weights."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight

    def wrap(self, code: Code) -> Code:
        return Huffman(code)
