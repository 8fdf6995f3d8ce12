"""Any code, each of its streams of symbols in a canonical Huffman code of its own.

Huffman, "A Method for the Construction of Minimum-Redundancy Codes", 1952; stage three of Deep
Compression (Han et al., ICLR 2016, Sec. 4). A stream is preceded by the length of each symbol's
code word; one whose symbols are too wide to tabulate, or that is no smaller coded, stays as it is.
"""

from heapq import heapify, heappop, heappush
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compressors.codes._code import Code, Parts, Stream, inner_code, inner_settings

WIDEST = 16  # bits of a symbol that is tabulated
LENGTH_BITS = 6  # a word is at most 63 bits long, which takes 10^13 symbols
Lengths = NDArray[np.int64]


class Huffman(Code):
    """Entropy coding over another code."""

    def __init__(self, inner: Code) -> None:
        self.inner = inner
        self.shape, self.primitive = inner.shape, inner.primitive
        self.decoders = ("huffman", *inner.decoders)

    @property
    def word_bits(self) -> int | None:
        return self.inner.word_bits

    @property
    def terms(self) -> int:
        return self.inner.terms

    def decode(self) -> Tensor:
        return self.inner.decode()

    def make_parts(self) -> Parts:
        streams: dict[str, Stream] = {}
        counts: dict[str, list[int]] = {}
        for name, stream in self.inner.parts.streams.items():
            if stream.width > WIDEST:
                streams[name] = stream
                continue
            coded = _coded(stream)
            if sum(part.bits for part in coded.values()) >= stream.bits:
                streams[name] = stream
                continue
            streams |= {f"{name}.{part}": own for part, own in coded.items()}
            counts[name] = [len(stream.symbols), stream.width]
        settings = {"inner": inner_settings(self.inner), "counts": counts}
        return Parts(settings, streams, self.inner.parts.tables)

    @classmethod
    def of(cls, shape: tuple[int, ...], parts: Parts) -> Self:
        streams: dict[str, Stream] = {}
        for name, stream in parts.streams.items():
            own, _, part = name.rpartition(".")
            if own not in parts.settings["counts"]:
                streams[name] = stream
            elif part == "words":
                count, width = parts.settings["counts"][own]
                lengths = parts.streams[f"{own}.lengths"].symbols.numpy()
                symbols = decode(stream.symbols.numpy(), lengths, count)
                streams[own] = Stream(torch.from_numpy(symbols), width)
        return cls(inner_code(parts.settings["inner"], shape, Parts({}, streams, parts.tables)))


def _coded(stream: Stream) -> dict[str, Stream]:
    symbols = stream.symbols.numpy()
    lengths = code_lengths(np.bincount(symbols, minlength=1 << stream.width))
    return {
        "lengths": Stream(torch.from_numpy(lengths), LENGTH_BITS),
        "words": Stream(torch.from_numpy(encode(symbols, lengths)), 1),
    }


def code_lengths(counts: Lengths) -> Lengths:
    """Bits of each symbol's word in a code of least total length; 0 for what never occurs.

    A symbol that is alone takes one bit.
    """
    lengths = np.zeros(len(counts), np.int64)
    used = np.flatnonzero(counts)
    if len(used) == 1:
        lengths[used] = 1
    heap = [(int(counts[symbol]), int(symbol), [int(symbol)]) for symbol in used]
    heapify(heap)
    while len(heap) > 1:
        first, second = heappop(heap), heappop(heap)
        merged = first[2] + second[2]
        lengths[merged] += 1
        heappush(heap, (first[0] + second[0], min(first[1], second[1]), merged))
    return lengths


def canonical_words(lengths: Lengths) -> tuple[Lengths, Lengths]:
    """The symbols in the order of their words, and the words as integers: shorter ones first."""
    order = np.lexsort((np.arange(len(lengths)), lengths))
    order = order[lengths[order] > 0]
    words = np.zeros(len(order), np.int64)
    for place in range(1, len(order)):
        grown = lengths[order[place]] - lengths[order[place - 1]]
        words[place] = (words[place - 1] + 1) << grown
    return order, words


def encode(symbols: Lengths, lengths: Lengths) -> Lengths:
    """The words of the symbols, a bit an element, each word with its first bit first."""
    order, words = canonical_words(lengths)
    word_of = np.zeros(len(lengths), np.int64)
    word_of[order] = words
    sizes, each = lengths[symbols], word_of[symbols]
    starts = np.cumsum(sizes) - sizes
    bits = np.zeros(int(sizes.sum()), np.int64)
    for place in range(int(sizes.max(initial=0))):
        longer = sizes > place
        bits[starts[longer] + place] = (each[longer] >> (sizes[longer] - 1 - place)) & 1
    return bits


def decode(bits: Lengths, lengths: Lengths, count: int) -> Lengths:
    """The `count` symbols whose words these bits are."""
    order, words = canonical_words(lengths)
    table = {(int(lengths[s]), int(w)): int(s) for s, w in zip(order, words, strict=True)}
    symbols = np.zeros(count, np.int64)
    found = size = word = 0
    for bit in bits.tolist():
        word, size = word << 1 | bit, size + 1
        symbol = table.get((size, word))
        if symbol is not None:
            symbols[found] = symbol
            found, size, word = found + 1, 0, 0
    return symbols


CODE = Huffman
