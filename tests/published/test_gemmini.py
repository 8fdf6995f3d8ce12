"""Gemmini's measured cycles, and the tiles that its library chose for them."""

import pytest

from hwsim.errors import InputError
from hwsim.validate import mean_error, rows
from hwsim.validation.gemmini import Gemmini, conv_tile, cycles, gemm_tile
from hwsim.workload import Layer, Op

# 12 cycle counts in the tests of ONNXim (8 x 8 array); target: within 5 % in the mean.
MEAN_TOLERANCE = 0.05
# No target; holds the largest gap, GemmWS1x2048x1000's.
EACH_TOLERANCE = 0.06
MACHINE = Gemmini(dim=8, scratchpad_kib=64, accumulator_kib=16)


def test_cycles_are_within_five_percent() -> None:
    """Every row alike, and also without the one that a choice was made on."""
    found = list(rows(["gemmini"]))
    for row in found:
        print(f"{row.layer}: {row.simulated} of {row.published} cycles, {row.error:+.2%}")
    print(f"mean error {mean_error(found):.2%}")
    assert len(found) == 12
    assert mean_error(found) <= MEAN_TOLERANCE
    assert mean_error(row for row in found if not row.fitted) <= MEAN_TOLERANCE
    assert max(abs(row.error) for row in found) <= EACH_TOLERANCE


@pytest.mark.parametrize(
    ("C", "K", "P", "R", "stride", "tile"),
    [
        (3, 64, 112, 7, 2, {"C": 3, "K": 8, "P": 15, "Q": 17, "R": 7, "S": 7}),
        (64, 128, 28, 3, 2, {"C": 24, "K": 8, "P": 15, "Q": 17, "R": 3, "S": 3}),
        (256, 256, 14, 3, 1, {"C": 96, "K": 8, "P": 14, "Q": 14, "R": 3, "S": 3}),
        (256, 512, 7, 3, 2, {"C": 51, "K": 40, "P": 7, "Q": 7, "R": 3, "S": 3}),
        (512, 512, 7, 3, 1, {"C": 73, "K": 40, "P": 7, "Q": 7, "R": 3, "S": 3}),
    ],
)
def test_convolution_tiles_are_the_published_ones(
    C: int, K: int, P: int, R: int, stride: int, tile: dict[str, int]
) -> None:
    """Inner tiles of the mappings given with the counts: three of stride 2, two of stride 1."""
    layer = Layer(name="conv", C=C, K=K, P=P, Q=P, R=R, S=R, stride_h=stride, stride_w=stride)
    assert conv_tile(layer, MACHINE) == {"N": 1} | tile


@pytest.mark.parametrize(
    ("M", "N", "K", "tile"),
    [(1, 1000, 2048, (8, 64, 448)), (512, 2, 1024, (64, 8, 448))],
)
def test_gemm_tiles_are_the_published_ones(
    M: int, N: int, K: int, tile: tuple[int, int, int]
) -> None:
    """In words, whole blocks of 8; published as N1 C448 M64 and N64 C448 M2."""
    assert tuple(8 * blocks for blocks in gemm_tile(M, N, K, MACHINE)) == tile


def test_a_single_fold_worked_by_hand() -> None:
    """8 rows of weights in, 8 words behind each other, and 14 cycles across the array."""
    layer = Layer(name="block", op=Op.LINEAR, N=8, C=8, K=8)
    assert cycles(layer, MACHINE) == 8 + 8 + 14


def test_lines_narrower_than_a_block_worked_by_hand() -> None:
    """Five lines of 2 x 9: one fold a window column; blocks of 8 and 1, the short one 4 cycles.

    A line takes 12 cycles, the last short block 8, for the weights behind it.
    """
    layer = Layer(name="narrow", N=2, C=8, K=8, P=5, Q=9, S=3)
    assert cycles(layer, MACHINE) == 3 * (10 * 12 - 4 + 8) + 8 + 14


def test_groups_run_one_after_another() -> None:
    layer = Layer(name="one", C=8, K=8, P=4, Q=8)
    twice = Layer(name="two", G=2, C=8, K=8, P=4, Q=8)
    assert cycles(twice, MACHINE) - cycles(layer, MACHINE) == 4 * 8


def test_memories_too_small_are_refused() -> None:
    with pytest.raises(InputError, match="gemmini: dim = 64"):
        Gemmini(dim=64, scratchpad_kib=64, accumulator_kib=16)
    with pytest.raises(InputError, match="hold no tile"):
        conv_tile(Layer(name="wide", stride_h=999, stride_w=999, P=2, Q=2), MACHINE)
