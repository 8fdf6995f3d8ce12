"""Bits that a tensor takes in memory: expected from a density, exact from its values.

Every code is real: `decode(encode(x))` is `x`, and the bits claimed are the bits written. Bit
streams fill bytes from the least significant bit.

- dense: every value in `bits` bits.
- bitmap: a bit an element that says whether it is non-zero, then the non-zero values.
- run_length: the code of the Eyeriss chip (Chen et al., JSSC 2017, section IV-C), for values of
  any width: pairs of a 5-bit run of zeros and the value behind it, as many as fit in the 63 bits
  that a flag on the last word leaves of every 64-bit word (three at 16 bits).
"""

from abc import ABC, abstractmethod
from math import prod

from hwsim.errors import InputError
from hwsim.workload import Storage

RUN_BITS = 5
WORD_BITS = 64


def expected_bits(storage: Storage, *, bits: int, density: float) -> float:
    """Expected bits an element of a long tensor with independent zeros, `bits` wide when dense.

    Raises InputError on a density outside 0..1 or a width that the format cannot hold.
    """
    if not 0.0 <= density <= 1.0:
        raise InputError(f"density = {density}: must lie in 0..1")
    return _code(storage, bits).expected_bits(density)


def stored_bits(storage: Storage, *, bits: int, density: float) -> float:
    """Expected bits an element where a coder that would inflate the tensor is bypassed.

    The Eyeriss chip does so: CONV1's ifmap stays uncoded (Chen et al., JSSC 2017, section IV-C).
    """
    return min(expected_bits(storage, bits=bits, density=density), float(bits))


class _Code(ABC):
    """A storage format for values of one width."""

    widest = 64

    def __init__(self, bits: int) -> None:
        self.bits = bits

    @abstractmethod
    def expected_bits(self, density: float) -> float:
        """Expected bits an element."""


class _Dense(_Code):
    def expected_bits(self, density: float) -> float:
        return float(self.bits)


class _Bitmap(_Code):
    def expected_bits(self, density: float) -> float:
        return 1 + density * self.bits


class _RunLength(_Code):
    widest = WORD_BITS - 1 - RUN_BITS

    def __init__(self, bits: int) -> None:
        super().__init__(bits)
        self.pairs_per_word = (WORD_BITS - 1) // (RUN_BITS + bits)

    def expected_bits(self, density: float) -> float:
        # A pair covers 1 + z + ... + z^31 elements on average, z the share of zeros.
        elements_per_pair = prod(1 + (1 - density) ** 2**i for i in range(RUN_BITS))
        return WORD_BITS / (self.pairs_per_word * elements_per_pair)


_CODES: dict[Storage, type[_Code]] = {
    Storage.DENSE: _Dense,
    Storage.BITMAP: _Bitmap,
    Storage.RUN_LENGTH: _RunLength,
}


def _code(storage: Storage, bits: int) -> _Code:
    code = _CODES[storage]
    if not 1 <= bits <= code.widest:
        raise InputError(f"{storage} storage: bits = {bits}: must lie in 1..{code.widest}")
    return code(bits)
