"""Huffman, 1952; stage three of Deep Compression (Han, Mao and Dally, ICLR 2016, Sec. 4)."""

import numpy as np
import torch
from torch import nn

from compressors._compress import compress
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.codes.huffman import LENGTH_BITS, canonical_words, code_lengths
from compressors.weights._form import code_of


def test_within_a_bit_of_the_entropy(mlp: nn.Module) -> None:
    """The table of code lengths counts."""
    shared = compress(mlp, uniform("kmeans_weight_sharing"))
    coded = compress(mlp, uniform("kmeans_weight_sharing", "huffman_coding"))
    for path in ("1", "3", "5"):
        weight, code = weight_of(coded.get_submodule(path)), code_of(coded.get_submodule(path))
        _, counts = torch.unique(weight, return_counts=True)
        share = counts / weight.numel()
        least = float(-(share * share.log2()).sum()) * weight.numel()
        words = code.bits() - 16 * LENGTH_BITS - 16 * 32
        assert least - 1e-3 <= words < least + weight.numel()
        assert torch.equal(weight, weight_of(shared.get_submodule(path)))


def test_no_word_begins_another() -> None:
    lengths = code_lengths(np.array([5, 9, 12, 13, 16, 45, 0, 1]))
    order, words = canonical_words(lengths)
    shown = [format(w, f"0{lengths[s]}b") for s, w in zip(order, words, strict=True)]
    for one in shown:
        assert sum(other.startswith(one) for other in shown) == 1
    assert shown == sorted(shown)
