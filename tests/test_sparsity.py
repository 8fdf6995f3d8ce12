"""Storage formats: exact round trips, claimed bits, expectations, and the chip's own figures."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwsim.errors import InputError
from hwsim.sparsity import decode, encode, encoded_bits, expected_bits, stored_bits
from hwsim.workload import Storage

REFERENCE = Path(__file__).parents[2] / "shared/reference/eyeriss_jssc2017.json"
WIDEST_RUN_LENGTH = 58
Ints = NDArray[np.int64]

storages = st.sampled_from(Storage)
shares = st.floats(0, 1)


def naive_bits(storage: Storage, values: list[int], bits: int) -> str:
    """The code as a string of digits, one value at a time: the oracle."""

    def field(value: int, width: int) -> str:
        return format(value % 2**width, f"0{width}b")[::-1]

    if storage is Storage.DENSE:
        return "".join(field(value, bits) for value in values)
    if storage is Storage.BITMAP:
        return "".join("01"[value != 0] for value in values) + "".join(
            field(value, bits) for value in values if value
        )
    pairs, run = [], 0
    for index, value in enumerate(values):
        if value or run == 31 or index == len(values) - 1:
            pairs.append(field(run, 5) + field(value, bits))
            run = 0
        else:
            run += 1
    per_word = 63 // (5 + bits)
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


@given(storage=storages, drawn=tensors())
def test_codes_round_trip_in_the_bits_they_claim(storage: Storage, drawn: tuple[int, Ints]) -> None:
    bits, values = drawn
    data = encode(storage, values, bits=bits)
    claimed = encoded_bits(storage, values, bits=bits)
    decoded = decode(storage, data, bits=bits, count=values.size)
    np.testing.assert_array_equal(decoded, values)
    assert len(data) == -(-claimed // 8)
    digits = naive_bits(storage, values.tolist(), bits)
    assert claimed == len(digits)
    assert data == naive_bytes(digits)


@pytest.mark.parametrize(
    ("storage", "bits"),
    [(Storage.DENSE, 64), (Storage.BITMAP, 64), (Storage.RUN_LENGTH, WIDEST_RUN_LENGTH)],
)
def test_the_widest_values_survive(storage: Storage, bits: int) -> None:
    values = np.array([-(2 ** (bits - 1)), 0, 2 ** (bits - 1) - 1, -1, 1])
    data = encode(storage, values, bits=bits)
    np.testing.assert_array_equal(decode(storage, data, bits=bits, count=5), values)


@pytest.mark.parametrize("storage", Storage)
def test_any_integer_array_is_read_in_c_order(storage: Storage) -> None:
    values = np.array([[1, 0, -3], [0, 0, 7]])
    expected = encode(storage, values.ravel(), bits=8)
    assert encode(storage, np.asfortranarray(values), bits=8) == expected
    assert encode(storage, values.astype(">i2"), bits=8) == expected
    assert encode(storage, values.repeat(2, axis=1)[:, ::2].astype(np.int8), bits=8) == expected


@pytest.mark.parametrize(
    ("zeros", "pairs"), [(0, 1), (31, 1), (32, 2), (63, 2), (64, 3), (95, 3), (96, 4)]
)
def test_a_pair_spans_at_most_thirty_two_elements(zeros: int, pairs: int) -> None:
    values = np.array([*[0] * zeros, 5])
    assert encoded_bits(Storage.RUN_LENGTH, values, bits=16) == 64 * -(-pairs // 3)
    assert encoded_bits(Storage.RUN_LENGTH, values, bits=58) == 64 * pairs


@pytest.mark.parametrize("storage", Storage)
@pytest.mark.parametrize("bits", [1, 4, 8, 16, 23, 32])
@pytest.mark.parametrize("density", [0.0, 0.01, 0.1, 0.35, 0.7, 1.0])
def test_expected_bits_are_those_of_a_long_tensor(
    storage: Storage, bits: int, density: float
) -> None:
    values = tensor(count=400_000, bits=bits, density=density, seed=17)
    exact = encoded_bits(storage, values, bits=bits) / values.size
    assert expected_bits(storage, bits=bits, density=density) == pytest.approx(exact, rel=0.01)


@given(bits=st.integers(1, WIDEST_RUN_LENGTH), density=shares)
def test_run_length_expectation_is_the_renewal_rate_of_pairs(bits: int, density: float) -> None:
    elements_per_pair = sum((1 - density) ** i for i in range(32))
    words_per_element = 1 / elements_per_pair / (63 // (5 + bits))
    expected = expected_bits(Storage.RUN_LENGTH, bits=bits, density=density)
    assert expected == pytest.approx(64 * words_per_element)


@given(storage=storages, bits=st.integers(2, WIDEST_RUN_LENGTH), pair=st.tuples(*[shares] * 2))
def test_fewer_bits_or_non_zeros_never_take_more(
    storage: Storage, bits: int, pair: tuple[float, float]
) -> None:
    sparse, dense = sorted(pair)
    for size in (expected_bits, stored_bits):
        most = size(storage, bits=bits, density=dense)
        assert size(storage, bits=bits, density=sparse) <= most * (1 + 1e-12)
        assert size(storage, bits=bits - 1, density=dense) <= most


@given(storage=storages, bits=st.integers(1, WIDEST_RUN_LENGTH), density=shares)
def test_a_coder_that_inflates_is_bypassed(storage: Storage, bits: int, density: float) -> None:
    coded = expected_bits(storage, bits=bits, density=density)
    stored = stored_bits(storage, bits=bits, density=density)
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
    widest = WIDEST_RUN_LENGTH if storage is Storage.RUN_LENGTH else 64
    for bits in (0, widest + 1):
        with pytest.raises(InputError, match=rf"bits = {bits}: must lie in 1..{widest}"):
            expected_bits(storage, bits=bits, density=0.5)
    for density in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="density"):
            stored_bits(storage, bits=8, density=density)
    with pytest.raises(InputError, match="value 128 does not fit in 8"):
        encoded_bits(storage, np.array([0, 128]), bits=8)
    with pytest.raises(InputError, match="does not fit"):
        encode(storage, np.array([2**63], np.uint64), bits=16)
    with pytest.raises(InputError, match="float64"):
        encode(storage, np.array([0.5]), bits=8)


@pytest.mark.parametrize("storage", Storage)
def test_broken_code_is_refused(storage: Storage) -> None:
    values = tensor(count=100, bits=7, density=0.4, seed=5)
    data = encode(storage, values, bits=7)
    flipped = bytes([*data[:-1], data[-1] ^ 0x80])
    for broken, count in [
        (data[:-1], 100), (data + b"\0", 100), (flipped, 100), (data, 110), (data, 90), (b"", 1),
        (data, 0),
    ]:  # fmt: skip
        with pytest.raises(InputError, match="are not the"):
            decode(storage, broken, bits=7, count=count)
    with pytest.raises(InputError, match="count = -1"):
        decode(storage, data, bits=7, count=-1)


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
