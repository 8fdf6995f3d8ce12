"""Storage formats: exact round trips, claimed bits, expectations, and the chip's own figures."""

import json
from itertools import product
from math import prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwsim.errors import InputError
from hwsim.sparsity import (
    Format,
    decode,
    encode,
    encoded_bits,
    expected_bits,
    matrix_shape,
    stored_bits,
)
from hwsim.workload import Layer, Storage

REFERENCE = Path(__file__).parents[2] / "shared/reference/eyeriss_jssc2017.json"
WIDEST_RUN_LENGTH = 58
Ints = NDArray[np.int64]

MATRIX_STORAGES = (Storage.CSR, Storage.CSC, Storage.BLOCK)
FLAT_STORAGES = tuple(storage for storage in Storage if storage not in MATRIX_STORAGES)

storages = st.sampled_from(Storage)
shares = st.floats(0, 1)


def matrix_form(storage: Storage, rows: int, columns: int) -> Format:
    """The storage for a matrix of that shape; blocks of 2 x 3 leave ragged edges."""
    return Format(storage=storage, shape=(rows, columns), block=(2, 3))


@st.composite
def forms(draw: st.DrawFn, count: int) -> Format:
    """Any format that holds `count` values, as a matrix of any shape."""
    rows = draw(st.sampled_from([n for n in range(1, count + 1) if count % n == 0] or [0]))
    sides = st.integers(1, 5)
    return Format(
        storage=draw(storages if count else st.sampled_from(FLAT_STORAGES)),
        shape=(rows, count // rows) if rows else None,
        block=draw(st.tuples(sides, sides)),
        index_bits=draw(st.integers(1, 16)),
    )


def field(value: int, width: int) -> str:
    """A number's digits, least significant first."""
    return format(value % 2**width, f"0{width}b")[::-1] if width else ""


def naive_pairs(values: list[int], bits: int, index_bits: int) -> list[str]:
    pairs, run = [], 0
    for index, value in enumerate(values):
        if value or run == 2**index_bits - 1 or index == len(values) - 1:
            pairs.append(field(run, index_bits) + field(value, bits))
            run = 0
        else:
            run += 1
    return pairs


def naive_rows(matrix: list[list[int]], bits: int) -> str:
    count, columns = sum(map(len, matrix)), len(matrix[0])
    starts = [sum(1 for row in matrix[:at] for value in row if value) for at in range(len(matrix))]
    total = sum(1 for row in matrix for value in row if value)
    pointer_bits, column_bits = len(f"{count:b}"), len(f"{columns - 1:b}") if columns > 1 else 0
    return (
        "".join(field(start, pointer_bits) for start in (*starts, total))
        + "".join(field(at, column_bits) for row in matrix for at, v in enumerate(row) if v)
        + "".join(field(value, bits) for row in matrix for value in row if value)
    )


def naive_blocks(matrix: list[list[int]], bits: int, block: tuple[int, int]) -> str:
    def element(row: int, column: int) -> int:
        inside = row < len(matrix) and column < len(matrix[0])
        return matrix[row][column] if inside else 0

    corners = product(range(0, len(matrix), block[0]), range(0, len(matrix[0]), block[1]))
    blocks = [
        [element(row + r, column + c) for r in range(block[0]) for c in range(block[1])]
        for row, column in corners
    ]
    return "".join("01"[any(values)] for values in blocks) + "".join(
        field(value, bits) for values in blocks if any(values) for value in values
    )


def naive_bits(form: Format, values: list[int], bits: int) -> str:
    """The code as a string of digits, one value at a time: the oracle."""
    columns = form.shape[1] if form.shape else 1
    matrix = [values[at : at + columns] for at in range(0, len(values), columns)]
    match form.storage:
        case Storage.DENSE:
            return "".join(field(value, bits) for value in values)
        case Storage.BITMAP:
            return "".join("01"[value != 0] for value in values) + "".join(
                field(value, bits) for value in values if value
            )
        case Storage.RELATIVE_INDEX:
            return "".join(naive_pairs(values, bits, form.index_bits))
        case Storage.CSR:
            return naive_rows(matrix, bits)
        case Storage.CSC:
            return naive_rows([list(column) for column in zip(*matrix, strict=True)], bits)
        case Storage.BLOCK:
            assert form.block
            return naive_blocks(matrix, bits, form.block)
    pairs, per_word = naive_pairs(values, bits, 5), 63 // (5 + bits)
    words = ["".join(pairs[at : at + per_word]) for at in range(0, len(pairs), per_word)]
    last = len(words) - 1
    return "".join(word.ljust(63, "0") + "01"[at == last] for at, word in enumerate(words))


def naive_bytes(digits: str) -> bytes:
    size = -(-len(digits) // 8)
    return int("0" + digits[::-1], 2).to_bytes(size, "little")


def tensor(*, count: int, bits: int, density: float, seed: int) -> Ints:
    """Signed values of `bits`, each non-zero independently with `density`."""
    random = np.random.default_rng(seed)
    limit = 2 ** (bits - 1)
    values = random.integers(-limit, limit, count)
    values[values == 0] = -1
    values[random.random(count) >= density] = 0
    return values


@st.composite
def tensors(draw: st.DrawFn) -> tuple[int, Ints]:
    """A width with random values of it, or runs of zeros up to and over what a pair can hold."""
    bits = draw(st.integers(1, 32))
    seed = draw(st.integers(0, 2**32 - 1))
    if draw(st.booleans()):
        count, density = draw(st.integers(0, 300)), draw(st.sampled_from([0, 1]) | shares)
        return bits, tensor(count=count, bits=bits, density=density, seed=seed)
    runs = draw(st.lists(st.integers(0, 3) | st.integers(29, 35) | st.integers(60, 100)))
    ends_in_zeros = draw(st.booleans())
    values = [value for run in runs for value in (*[0] * run, -1)]
    return bits, np.array(values[: len(values) - ends_in_zeros], dtype=np.int64)


@given(data=st.data(), drawn=tensors())
def test_codes_round_trip_in_the_bits_they_claim(
    data: st.DataObject, drawn: tuple[int, Ints]
) -> None:
    bits, values = drawn
    form = data.draw(forms(values.size))
    code = encode(form, values, bits=bits)
    claimed = encoded_bits(form, values, bits=bits)
    decoded = decode(form, code, bits=bits, count=values.size)
    np.testing.assert_array_equal(decoded, values)
    assert len(code) == -(-claimed // 8)
    digits = naive_bits(form, values.tolist(), bits)
    assert claimed == len(digits)
    assert code == naive_bytes(digits)


@pytest.mark.parametrize("storage", Storage)
def test_the_widest_values_survive(storage: Storage) -> None:
    form = matrix_form(storage, 1, 5)
    bits = WIDEST_RUN_LENGTH if storage is Storage.RUN_LENGTH else 64
    values = np.array([-(2 ** (bits - 1)), 0, 2 ** (bits - 1) - 1, -1, 1])
    data = encode(form, values, bits=bits)
    np.testing.assert_array_equal(decode(form, data, bits=bits, count=5), values)


@pytest.mark.parametrize("storage", Storage)
def test_any_integer_array_is_read_in_c_order(storage: Storage) -> None:
    form = matrix_form(storage, 2, 3)
    values = np.array([[1, 0, -3], [0, 0, 7]])
    expected = encode(form, values.ravel(), bits=8)
    assert encode(form, np.asfortranarray(values), bits=8) == expected
    assert encode(form, values.astype(">i2"), bits=8) == expected
    assert encode(form, values.repeat(2, axis=1)[:, ::2].astype(np.int8), bits=8) == expected


def test_the_padding_zero_of_the_eie_paper() -> None:
    """Han et al., ISCA 2016, Sec. III-B: [0,0,1,2,0 x 18,3] has v = [1,2,0,3], z = [2,0,15,2]."""
    values = np.array([0, 0, 1, 2, *[0] * 18, 3])
    data = encode(Storage.RELATIVE_INDEX, values, bits=4)
    runs_and_values = [(octet & 15, octet >> 4) for octet in data]
    assert runs_and_values == [(2, 1), (0, 2), (15, 0), (2, 3)]


@pytest.mark.parametrize(
    ("zeros", "pairs"), [(0, 1), (31, 1), (32, 2), (63, 2), (64, 3), (95, 3), (96, 4)]
)
def test_a_pair_spans_at_most_thirty_two_elements(zeros: int, pairs: int) -> None:
    values = np.array([*[0] * zeros, 5])
    assert encoded_bits(Storage.RUN_LENGTH, values, bits=16) == 64 * -(-pairs // 3)
    assert encoded_bits(Storage.RUN_LENGTH, values, bits=58) == 64 * pairs


@pytest.mark.parametrize("storage", FLAT_STORAGES)
@pytest.mark.parametrize("bits", [1, 4, 8, 16, 23, 32])
@pytest.mark.parametrize("density", [0.0, 0.01, 0.1, 0.35, 0.7, 1.0])
def test_expected_bits_are_those_of_a_long_tensor(
    storage: Storage, bits: int, density: float
) -> None:
    values = tensor(count=400_000, bits=bits, density=density, seed=17)
    exact = encoded_bits(storage, values, bits=bits) / values.size
    assert expected_bits(storage, bits=bits, density=density) == pytest.approx(exact, rel=0.01)


@given(
    storage=st.sampled_from((Storage.DENSE, Storage.BITMAP, *MATRIX_STORAGES)),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    block=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    bits=st.integers(1, 16),
    density=shares,
)
def test_expected_bits_are_the_mean_over_every_set_of_zeros(
    storage: Storage, shape: tuple[int, int], block: tuple[int, int], bits: int, density: float
) -> None:
    form = Format(storage=storage, shape=shape, block=block)
    mean = 0.0
    for mask in product((0, -1), repeat=prod(shape)):
        nonzero = -sum(mask)
        share = density**nonzero * (1 - density) ** (prod(shape) - nonzero)
        mean += share * encoded_bits(form, np.array(mask), bits=bits)
    assert expected_bits(form, bits=bits, density=density) * prod(shape) == pytest.approx(mean)


@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    block=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    kept=st.lists(st.booleans(), min_size=81, max_size=81),
)
def test_grouped_zeros_cost_no_block(
    shape: tuple[int, int], block: tuple[int, int], kept: list[bool]
) -> None:
    form = Format(storage=Storage.BLOCK, shape=shape, block=block, grouped=True)
    grid = [-(-size // step) for size, step in zip(shape, block, strict=True)]
    blocks = np.array(kept[: prod(grid)]).reshape(grid)
    values = np.kron(blocks, np.ones(block, int))[: shape[0], : shape[1]].astype(int)
    exact = encoded_bits(form, values, bits=8) / prod(shape)
    density = float(blocks.mean())
    assert expected_bits(form, bits=8, density=density) == pytest.approx(exact)


@given(index_bits=st.integers(1, 16), bits=st.integers(1, 64), density=shares)
def test_relative_index_expectation_is_the_renewal_rate_of_pairs(
    index_bits: int, bits: int, density: float
) -> None:
    """A run is geometric, cut off where it fills its field: a padding zero stands there."""
    form = Format(storage=Storage.RELATIVE_INDEX, index_bits=index_bits)
    elements_per_pair = sum((1 - density) ** i for i in range(2**index_bits))
    expected = expected_bits(form, bits=bits, density=density)
    assert expected == pytest.approx((index_bits + bits) / elements_per_pair)


@pytest.mark.parametrize("index_bits", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("density", [0.005, 0.04, 0.1, 0.5])
def test_padding_zeros_are_as_many_as_expected(index_bits: int, density: float) -> None:
    form = Format(storage=Storage.RELATIVE_INDEX, index_bits=index_bits)
    values = tensor(count=1_000_000, bits=4, density=density, seed=29)
    exact = encoded_bits(form, values, bits=4) / values.size
    assert expected_bits(form, bits=4, density=density) == pytest.approx(exact, rel=0.02)


@given(bits=st.integers(1, WIDEST_RUN_LENGTH), density=shares)
def test_run_length_expectation_is_the_renewal_rate_of_pairs(bits: int, density: float) -> None:
    elements_per_pair = sum((1 - density) ** i for i in range(32))
    words_per_element = 1 / elements_per_pair / (63 // (5 + bits))
    expected = expected_bits(Storage.RUN_LENGTH, bits=bits, density=density)
    assert expected == pytest.approx(64 * words_per_element)


@given(form=forms(30), bits=st.integers(2, WIDEST_RUN_LENGTH), pair=st.tuples(*[shares] * 2))
def test_fewer_bits_or_non_zeros_never_take_more(
    form: Format, bits: int, pair: tuple[float, float]
) -> None:
    sparse, dense = sorted(pair)
    for size in (expected_bits, stored_bits):
        most = size(form, bits=bits, density=dense)
        assert size(form, bits=bits, density=sparse) <= most * (1 + 1e-12)
        assert size(form, bits=bits - 1, density=dense) <= most


@given(form=forms(30), bits=st.integers(1, WIDEST_RUN_LENGTH), density=shares)
def test_a_coder_that_inflates_is_bypassed(form: Format, bits: int, density: float) -> None:
    coded = expected_bits(form, bits=bits, density=density)
    stored = stored_bits(form, bits=bits, density=density)
    assert stored <= bits
    assert stored in (coded, bits)


def test_dense_data_costs_the_chip_a_third_more() -> None:
    """Chen et al., JSSC 2017: three 16-bit values to a 64-bit word."""
    assert expected_bits(Storage.RUN_LENGTH, bits=16, density=1) == pytest.approx(16 * 64 / 48)
    values = tensor(count=3000, bits=16, density=1, seed=3)
    assert encoded_bits(Storage.RUN_LENGTH, values, bits=16) == 64_000
    assert stored_bits(Storage.RUN_LENGTH, bits=16, density=1) == 16


@pytest.mark.parametrize("storage", Storage)
def test_impossible_requests_are_named(storage: Storage) -> None:
    form = matrix_form(storage, 1, 2)
    widest = WIDEST_RUN_LENGTH if storage is Storage.RUN_LENGTH else 64
    for bits in (0, widest + 1):
        with pytest.raises(InputError, match=rf"bits = {bits}: must lie in 1..{widest}"):
            expected_bits(form, bits=bits, density=0.5)
    for density in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="density"):
            stored_bits(form, bits=8, density=density)
    with pytest.raises(InputError, match="value 128 does not fit in 8"):
        encoded_bits(form, np.array([0, 128]), bits=8)
    with pytest.raises(InputError, match="does not fit"):
        encode(form, np.array([2**63, 1], np.uint64), bits=16)
    with pytest.raises(InputError, match="float64"):
        encode(form, np.array([0.5, 1.0]), bits=8)
    with pytest.raises(InputError, match=r"3 values do not fill shape = \(1, 2\)"):
        encode(form, np.array([1, 2, 3]), bits=8)


@pytest.mark.parametrize("storage", MATRIX_STORAGES)
def test_a_format_of_matrices_asks_for_the_shape(storage: Storage) -> None:
    with pytest.raises(InputError, match=rf"{storage} storage: needs shape = \(rows, columns\)"):
        stored_bits(storage, bits=8, density=0.5)


def test_impossible_formats_are_named() -> None:
    with pytest.raises(InputError, match=r"block storage: needs block = \(rows, columns\)"):
        expected_bits(Format(storage=Storage.BLOCK, shape=(4, 4)), bits=8, density=0.5)
    with pytest.raises(InputError, match=r"csr storage: shape = \(0, 4\): must be two sizes"):
        Format(storage=Storage.CSR, shape=(0, 4))
    for index_bits in (0, 17):
        with pytest.raises(InputError, match=rf"index_bits = {index_bits}: must lie in 1..16"):
            Format(storage=Storage.RELATIVE_INDEX, index_bits=index_bits)


@pytest.mark.parametrize("tensor_name", ["ifmap", "weight", "ofmap"])
def test_a_layers_tensors_are_matrices(tensor_name: str) -> None:
    layer = Layer(name="conv", N=2, G=3, K=4, C=5, P=6, Q=7, R=2, S=3)
    shapes = {"ifmap": (30, 7 * 9), "weight": (12, 30), "ofmap": (24, 42)}
    assert matrix_shape(layer, tensor_name) == shapes[tensor_name]
    assert prod(shapes[tensor_name]) == layer.words(tensor_name)


@pytest.mark.parametrize("storage", Storage)
def test_broken_code_is_refused(storage: Storage) -> None:
    form = matrix_form(storage, 10, 10)
    values = tensor(count=100, bits=7, density=0.4, seed=6)
    data = encode(form, values, bits=7)
    flipped = bytes([*data[:-1], data[-1] ^ 0x80])
    for broken in (data[:-1], data + b"\0", flipped, b"", b"\xff" * len(data)):
        with pytest.raises(InputError, match="are not the"):
            decode(form, broken, bits=7, count=100)
    with pytest.raises(InputError, match="count = -1"):
        decode(form, data, bits=7, count=-1)
    for count in (110, 90, 0):
        with pytest.raises(InputError, match="do not fill shape"):
            decode(form, data, bits=7, count=count)


@pytest.mark.parametrize("storage", FLAT_STORAGES)
@pytest.mark.parametrize("count", [110, 90, 0])
def test_another_count_of_values_is_refused(storage: Storage, count: int) -> None:
    data = encode(storage, tensor(count=100, bits=7, density=0.4, seed=6), bits=7)
    with pytest.raises(InputError, match="are not the"):
        decode(storage, data, bits=7, count=count)


@pytest.mark.skipif(not REFERENCE.exists(), reason="the published tables are not at hand")
def test_alexnet_dram_traffic_beside_the_published() -> None:
    """Chen et al., JSSC 2017: table V decides; the reduction factors are printed beside."""
    reference = json.loads(REFERENCE.read_text())
    traffic = reference["derived_traffic_model"]
    paper = reference["rlc"]["overall_DRAM_reduction_per_layer"]["values"]
    sparseloop = reference["rlc"]["cross_check"]["sparseloop_artifact_recomputed"]
    print("\nlayer     MB  table V  error  reduction  JSSC 2017  Sparseloop")
    for layer, *_, zeros, _, published_mb in reference["table_V_alexnet"]["rows"]:
        words = traffic["per_layer"][layer]["words"]
        densities = {
            "weights": 1.0,
            "ifmap_dense": 1 - zeros / 100,
            "ofmap_dense": 1 - traffic["ofmap_sparsity_used"][layer],
        }
        bits = sum(
            words[name] * stored_bits(Storage.RUN_LENGTH, bits=16, density=density)
            for name, density in densities.items()
        )
        megabytes, factor = bits / 8e6, 16 * sum(words.values()) / bits
        error = megabytes / published_mb - 1
        print(f"{layer} {megabytes:6.3f}  {published_mb:7}  {error:+5.1%}", end=" ")
        print(f"{factor:10.2f}  {paper[layer]:9}  {sparseloop[layer]:10}")
        assert abs(error) < 0.05
