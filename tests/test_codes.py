"""Laws of every code, over random ones; the files in compressors/codes are found by name."""

import json
import math
from importlib.resources import files

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from compressors.codes._bytes import code_of_bytes, header, payload
from compressors.codes._code import Code
from compressors.codes._level_sets import Integers, Minifloats, Odds, Powers, Signs
from compressors.codes._places import Places
from compressors.codes.codebook import Codebook
from compressors.codes.dense import Dense
from compressors.codes.hashed import Hashed
from compressors.codes.huffman import Huffman, code_lengths
from compressors.codes.levels import Levels
from compressors.codes.product import Product
from compressors.codes.scaled import Scaled
from compressors.codes.signed_scales import SignedScales
from compressors.codes.sparse import Sparse
from compressors.codes.sums import Sums
from hwsim.errors import InputError

SHAPE = (4, 3, 2, 3)
LEVEL_SETS = [
    Integers(low=-8, high=7),
    Integers(low=-1, high=1),
    Integers(low=0, high=200),
    Powers(first=-7, last=-1),
    Minifloats(exponent_bits=3, mantissa_bits=2),
    Signs(),
    Odds(bits=3),
]


def levels(level_set: object, seed: int, blocks: tuple[int, ...] | None = None) -> Levels:
    draw = torch.Generator().manual_seed(seed)
    assert isinstance(level_set, Integers | Powers | Minifloats | Signs | Odds)
    indices = torch.randint(len(level_set.values), SHAPE, generator=draw)
    scales = None if blocks is None else torch.rand(blocks, generator=draw) + 0.1
    return Levels(indices, level_set, scales)


def examples(seed: int) -> list[Code]:
    """Codes of each kind, nested as methods nest them."""
    draw = torch.Generator().manual_seed(seed)
    mask = torch.rand(SHAPE, generator=draw) < 0.2
    dense = Dense(torch.randn(SHAPE, generator=draw))
    plain = [levels(one, seed, (4, 2, 1, 1)) for one in LEVEL_SETS]
    table = torch.cat([torch.zeros(1), torch.randn(6, generator=draw)])
    shared = Codebook(torch.randint(7, SHAPE, generator=draw), table)
    sums = Sums((levels(LEVEL_SETS[3], seed), levels(LEVEL_SETS[3], seed + 1)))
    ternary = SignedScales(torch.randint(3, SHAPE, generator=draw), torch.tensor([0.5, 0.25]))
    eighths = Levels(torch.randint(256, (4, 2, 1, 3), generator=draw), Integers(low=0, high=255))
    scaled = Scaled(levels(Integers(low=-1, high=1), seed), eighths)
    places: tuple[Places, ...] = ("relative_index", "bitmap", "csr")
    sparse: list[Code] = [
        Sparse(mask, inner, places=one, index_bits=2)
        for inner in (dense, plain[0], shared, sums, ternary, scaled)
        for one in places
    ]
    sparse += [
        Sparse(mask, dense, places=one, index_bits=2, grid=grid)
        for grid in ((4, 3, 1, 1), (2, 2, 2, 3))
        for one in places
    ]
    plain_codes: list[Code] = [dense, *plain, shared, sums, ternary, scaled, *vectors(seed)]
    return [*plain_codes, *sparse, *map(Huffman, [*plain_codes, *sparse])]


def vectors(seed: int) -> list[Code]:
    """Codes that have no symbol for every element."""
    draw = torch.Generator().manual_seed(seed)
    indices = torch.randint(5, (4, 2, 2, 3), generator=draw)
    products = [
        Product(indices, torch.randn(5, columns, generator=draw), channels=3, length=2)
        for columns in (2, 3)
    ]
    sizes = [(4, 2), (1, 4)]
    matrices = [(torch.randn(s, generator=draw), torch.randn(s[0], generator=draw)) for s in sizes]
    values = torch.randn(9, generator=draw)
    hashed = Hashed(SHAPE, values, seed=seed)
    functional = Hashed(SHAPE, values, seed=seed, fetches=2, matrices=tuple(matrices))
    return [*products, Sums(tuple(products)), hashed, functional]


def test_every_kind_has_an_example() -> None:
    package = files("compressors.codes")
    kinds = {entry.name[:-3] for entry in package.iterdir() if not entry.name.startswith("_")}
    kinds -= {""}
    assert {code.kind for code in examples(0)} == {kind for kind in kinds if kind}


@pytest.mark.parametrize("number", range(len(examples(0))))
@given(seed=st.integers(0, 2**20))
@settings(max_examples=5, deadline=None)
def test_written_and_read_again(number: int, seed: int) -> None:
    code = examples(seed)[number]
    data = payload(code)
    assert len(data) == math.ceil(code.bits() / 8)
    found = code_of_bytes(json.loads(json.dumps(header(code))), data)
    assert torch.equal(found.decode(), code.decode())
    assert found.bits() == code.bits()
    assert (found.word_bits, found.terms) == (code.word_bits, code.terms)
    assert payload(found) == data
    with pytest.raises(InputError, match="asks for"):
        code_of_bytes(header(code), data + b"\0")


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40), st.integers(1, 5))
@settings(max_examples=50, deadline=None)
def test_relative_index_stores_the_published_number_of_zeros(gaps: list[int], bits: int) -> None:
    """Han et al., ICLR 2016: (non-zeros + filling zeros) x (index bits + word bits)."""
    values = torch.zeros(sum(gap + 1 for gap in gaps))
    values[torch.tensor(gaps).add(1).cumsum(0) - 1] = 1.0
    code = Sparse(values != 0, Dense(values), index_bits=bits)
    fillers = sum(gap // 2**bits for gap in gaps)
    assert code.bits() == (len(gaps) + fillers) * (bits + 32)
    assert torch.equal(code.decode(), values)


def test_places_of_blocks_take_a_bit_for_each() -> None:
    """Kernels of 2 x 3: a table of connections, and the kernels that are left, whole."""
    mask = torch.zeros(SHAPE, dtype=torch.bool)
    mask[1, 2], mask[3, 0, 1, 2] = True, True
    code = Sparse(mask, Dense(torch.ones(SHAPE)), places="bitmap", grid=(4, 3, 1, 1))
    assert code.bits() == 4 * 3 + 2 * 6 * 32
    assert torch.equal(code.decode(), mask.float())


def test_zeros_cannot_be_left_out_of_signs() -> None:
    with pytest.raises(InputError, match="has no zero"):
        Sparse(torch.ones(SHAPE, dtype=torch.bool), levels(Signs(), 0))


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=64).filter(sum))
def test_huffman_words_are_as_short_as_shannon_allows(counts: list[int]) -> None:
    lengths = code_lengths(np.array(counts))
    share = np.array(counts)[lengths > 0] / sum(counts)
    entropy = float(-(share * np.log2(share)).sum())
    mean = float((share * lengths[lengths > 0]).sum())
    if len(share) > 1:
        assert entropy - 1e-9 <= mean < entropy + 1
        assert (0.5 ** lengths[lengths > 0]).sum() == 1.0  # Kraft: no word to spare
    else:
        assert mean == 1


@pytest.mark.parametrize("level_set", LEVEL_SETS, ids=lambda one: str(one))
def test_nearest_level(level_set: Integers) -> None:
    numbers = torch.linspace(-20, 20, 4001, dtype=torch.float64)
    found = level_set.values[level_set.nearest(numbers)]
    brute = (numbers[:, None] - level_set.values).abs().min(1).values
    assert torch.allclose((found - numbers).abs(), brute, rtol=0, atol=1e-12)
    assert torch.all(level_set.values.diff() > 0)
