"""The layer contract: what a network is to the simulator.

A `Layer` is a seven-dimensional loop nest plus groups: every MAC is one point (n, g, k, c, p, q,
r, s) of `N x G x K x C x P x Q x R x S`. Dimensions K and C count channels *per group*. An ofmap
point reads the ifmap at row `p * stride_h + r * dilation_h - pad_h`, column likewise.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from math import isclose, prod

import networkx
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.errors import InputError

DIMS = ("N", "G", "K", "C", "P", "Q", "R", "S")
TENSORS = ("ifmap", "weight", "ofmap")

# Counts of words and bits stay exact in 64-bit integers and in doubles.
LARGEST_SIZE = 2**24
MOST_OPERATIONS = 2**50
MOST_TERMS = 64

RELEVANT: Mapping[str, frozenset[str]] = {
    "ifmap": frozenset("NGCPQRS"),
    "weight": frozenset("GKCRS"),
    "ofmap": frozenset("NGKPQ"),
}


class Op(StrEnum):
    """What a layer computes; the last eight have no weights and cost memory traffic."""

    CONV = "conv"
    LINEAR = "linear"
    MATMUL = "matmul"
    POOL = "pool"
    ACTIVATION = "activation"
    NORMALISATION = "normalisation"
    ADD = "add"
    MULTIPLY = "multiply"
    CONCAT = "concat"
    SOFTMAX = "softmax"
    COPY = "copy"


WEIGHTED = frozenset({Op.CONV, Op.LINEAR, Op.MATMUL})


class Primitive(StrEnum):
    """The arithmetic that each multiply-accumulate became."""

    MULTIPLY_ADD = "multiply_add"
    ADD = "add"
    SHIFT_ADD = "shift_add"
    XNOR_POPCOUNT = "xnor_popcount"
    LOOKUP_ADD = "lookup_add"


class Storage(StrEnum):
    """How a tensor's elements lie in memory."""

    DENSE = "dense"
    BITMAP = "bitmap"
    RUN_LENGTH = "run_length"
    RELATIVE_INDEX = "relative_index"
    CSR = "csr"
    CSC = "csc"
    BLOCK = "block"


class Decoder(StrEnum):
    """What turns a stored code back into words as it is read; a code may need several in a row.

    `codebook`: an index into a table of values. `product`: one into a table of short vectors.
    `power_of_two`: exponents and signs, whose sum is the value. `hash`: a table of values at places
    that a hash function tells. `bitmap`, `relative_index` and `csr`: where the non-zeros are.
    `huffman`: a prefix code. `transform`: coefficients of a fixed linear transform.
    """

    CODEBOOK = "codebook"
    PRODUCT = "product"
    POWER_OF_TWO = "power_of_two"
    HASH = "hash"
    BITMAP = "bitmap"
    RELATIVE_INDEX = "relative_index"
    CSR = "csr"
    HUFFMAN = "huffman"
    TRANSFORM = "transform"


@dataclass(frozen=True)
class Stored:
    """A code of a whole tensor: its `bits` as written, tables and scales included, and the
    decoders that it takes to read it, kept sorted. Raises InputError on none, or no such bits."""

    bits: int
    decoders: tuple[Decoder, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.bits <= MOST_OPERATIONS:
            raise InputError(f"stored: bits = {self.bits}: must lie in 0..{MOST_OPERATIONS}")
        if not self.decoders:
            raise InputError("stored: decoders = (): what needs none is no code")
        needed = tuple(sorted({Decoder(name) for name in self.decoders}))
        object.__setattr__(self, "decoders", needed)


@dataclass(frozen=True)
class Zeros:
    """Where a real tensor is zero: its shape, and one bit an element, in C order, set elsewhere.

    Two are equal where shape and zeros are, whatever the values. Made by `Zeros.of`.
    """

    shape: tuple[int, ...]
    packed: bytes = field(repr=False)

    @staticmethod
    def of(array: ArrayLike) -> "Zeros":
        """The zeros of an array of numbers or, as False, of truth values."""
        nonzero = np.asarray(array) != 0
        return Zeros(nonzero.shape, np.packbits(nonzero).tobytes())

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The non-zeros as truth values of the tensor's shape."""
        bits = np.unpackbits(np.frombuffer(self.packed, np.uint8), count=prod(self.shape))
        return bits.view(np.bool_).reshape(self.shape)

    @cached_property
    def density(self) -> float:
        """The share of non-zeros; 1 of no elements."""
        return float(self.mask.mean()) if prod(self.shape) else 1.0


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """What the simulator knows of a tensor: `bits` an element, `density` the share of non-zeros.

    Where the real tensor is at hand, `zeros` says which they are, and a density left at 1 follows
    from it. How memories code the tensor is theirs to say (`hwsim.hardware.Memory.formats`), but
    for weights that a compressor has coded: `stored` lists the codes it may be written in, of which
    a memory holds the shortest that it can decode. `bits` stays the width of the decoded word, and
    is what all other memories hold. Raises InputError on a density that contradicts the zeros.
    """

    bits: int = 16
    density: float = 1.0
    zeros: Zeros | None = None
    stored: tuple[Stored, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 64:
            raise InputError(f"tensor: bits = {self.bits}: must lie in 1..64")
        if not 0.0 <= self.density <= 1.0:
            raise InputError(f"tensor: density = {self.density}: must lie in 0..1")
        if self.zeros is not None:
            known = self.zeros.density
            if self.density != 1.0 and not isclose(self.density, known):
                raise InputError(f"tensor: density = {self.density}: its zeros say {known}")
            object.__setattr__(self, "density", known)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer of a network: loop bounds, window geometry, tensors and arithmetic.

    `H` and `W` are the ifmap's rows and columns without padding; `operands` is how many ifmaps of
    that shape an element-wise layer reads. Each MAC became `terms` operations of its `primitive`: a
    weight that is the sum of two powers of two takes two shift-adds. Raises InputError on
    impossible sizes.
    """

    name: str
    op: Op = Op.CONV
    N: int = 1
    G: int = 1
    K: int = 1
    C: int = 1
    P: int = 1
    Q: int = 1
    R: int = 1
    S: int = 1
    H: int = 0
    W: int = 0
    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1
    pad_h: int = 0
    pad_w: int = 0
    operands: int = 1
    ifmap: Tensor = field(default_factory=Tensor)
    weight: Tensor = field(default_factory=Tensor)
    ofmap: Tensor = field(default_factory=Tensor)
    psum: Tensor = field(default_factory=Tensor)
    primitive: Primitive = Primitive.MULTIPLY_ADD
    terms: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "H", self.H or self._rows(self.P, self.R))
        object.__setattr__(self, "W", self.W or self._columns(self.Q, self.S))
        sizes = (*DIMS, "H", "W", "stride_h", "stride_w", "dilation_h", "dilation_w", "operands")
        for key in (*sizes, "pad_h", "pad_w"):
            value, least = getattr(self, key), int(key in sizes)
            if not least <= value <= LARGEST_SIZE:
                raise InputError(
                    f"layer {self.name!r}: {key} = {value}: must lie in {least}..{LARGEST_SIZE}"
                )
        if self.operations > MOST_OPERATIONS:
            raise InputError(
                f"layer {self.name!r}: {self.operations} operations: at most {MOST_OPERATIONS}"
            )
        self._check_terms()
        for key in (*TENSORS, "psum"):
            self._check_zeros(key)
            if getattr(self, key).stored and key not in {"weight"} & set(self.tensors):
                raise InputError(f"layer {self.name!r}: {key}: has no weights to store in a code")

    def _check_terms(self) -> None:
        most = 1 if self.primitive is Primitive.MULTIPLY_ADD else MOST_TERMS
        if not 1 <= self.terms <= most:
            raise InputError(
                f"layer {self.name!r}: terms = {self.terms}: must lie in 1..{most} "
                f"of {self.primitive}"
            )

    def _check_zeros(self, key: str) -> None:
        """Raises InputError where a tensor's zeros are not of its shape."""
        zeros: Zeros | None = getattr(self, key).zeros
        if zeros is None:
            return
        if key not in self.tensors:
            raise InputError(f"layer {self.name!r}: {key}: has no zeros of its own")
        if zeros.shape != self.shape(key):
            raise InputError(
                f"layer {self.name!r}: {key}: zeros of shape {zeros.shape}: "
                f"must be {self.shape(key)}"
            )

    def _rows(self, P: int, R: int) -> int:
        return (P - 1) * self.stride_h + (R - 1) * self.dilation_h + 1 - 2 * self.pad_h

    def _columns(self, Q: int, S: int) -> int:
        return (Q - 1) * self.stride_w + (S - 1) * self.dilation_w + 1 - 2 * self.pad_w

    @cached_property
    def bounds(self) -> dict[str, int]:
        """The eight loop bounds by dimension."""
        return {dim: getattr(self, dim) for dim in DIMS}

    @property
    def weighted(self) -> bool:
        """Whether the layer multiplies by a second tensor."""
        return self.op in WEIGHTED

    @property
    def tensors(self) -> tuple[str, ...]:
        """The tensors the layer touches."""
        return TENSORS if self.weighted else ("ifmap", "ofmap")

    @property
    def operations(self) -> int:
        """Points of the loop nest: MACs of a weighted layer, ALU operations of another."""
        return prod(self.bounds.values())

    @property
    def macs(self) -> int:
        """Multiply-accumulates; 0 for a layer without weights."""
        return self.operations if self.weighted else 0

    def shape(self, tensor: str) -> tuple[int, int, int, int]:
        """A whole tensor's shape, without padding.

        ifmap [operands N, G C, H, W], weight [G K, C, R, S], ofmap [N, G K, P, Q].
        """
        filters = self.G * self.K
        return {
            "ifmap": (self.operands * self.N, self.G * self.C, self.H, self.W),
            "weight": (filters, self.C, self.R, self.S),
            "ofmap": (self.N, filters, self.P, self.Q),
        }[tensor]

    def words(self, tensor: str) -> int:
        """Elements of a whole tensor, without padding."""
        if tensor == "weight" and not self.weighted:
            return 0
        return prod(self.shape(tensor))

    def tensor(self, tensor: str) -> Tensor:
        """The record of one tensor by name."""
        return {"ifmap": self.ifmap, "weight": self.weight, "ofmap": self.ofmap}[tensor]

    def at_bits(self, *, ifmap: int, weight: int, ofmap: int, psum: int) -> "Layer":
        """The same layer at other bit-widths, densities kept."""
        return replace(
            self,
            ifmap=replace(self.ifmap, bits=ifmap),
            weight=replace(self.weight, bits=weight),
            ofmap=replace(self.ofmap, bits=ofmap),
            psum=replace(self.psum, bits=psum),
        )


@dataclass(frozen=True)
class Network:
    """A directed acyclic graph of layers, in an order of execution.

    `edges` holds (producer, consumer) pairs of layer names. `views` names the operators that move
    no data and so are no layers (reshapes, dropout at inference, folded batch-norms).
    """

    name: str
    layers: tuple[Layer, ...]
    edges: tuple[tuple[str, str], ...] = ()
    views: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [layer.name for layer in self.layers]
        if not names:
            raise InputError(f"network {self.name!r} has no layers to simulate")
        if len(set(names)) < len(names):
            raise InputError(f"network {self.name!r} has two layers of one name")
        if not networkx.is_directed_acyclic_graph(self.graph):
            raise InputError(f"network {self.name!r}: its layers form a cycle")

    @cached_property
    def graph(self) -> "networkx.DiGraph[str]":
        """The graph of layer names."""
        graph: networkx.DiGraph[str] = networkx.DiGraph()
        graph.add_nodes_from(layer.name for layer in self.layers)
        graph.add_edges_from(self.edges)
        return graph

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __getitem__(self, name: str) -> Layer:
        return next(layer for layer in self.layers if layer.name == name)

    def with_layers(self, layers: Mapping[str, Layer]) -> "Network":
        """The network with the named layers replaced."""
        return replace(self, layers=tuple(layers.get(layer.name, layer) for layer in self.layers))
