"""Weights stored in a Huffman code; their values are what they were."""

from torch import Tensor, nn

from compressors.codes._code import Code
from compressors.codes.huffman import Huffman
from compressors.weights._form import Wrapper, add_wrapper_, forms


class EntropyCoded(Wrapper):
    """The same weights."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight

    def wrap(self, code: Code) -> Code:
        return Huffman(code)


def entropy_code_(layer: nn.Module, tensor: str = "weight") -> None:
    """Store a tensor in a Huffman code, unless it is stored in one already."""
    if not any(isinstance(form, EntropyCoded) for form in forms(layer, tensor)):
        add_wrapper_(layer, EntropyCoded(), tensor)
