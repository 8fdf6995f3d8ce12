"""What sparsity is worth on SIGMA, as STONNE simulates it: less than its share, and in steps.

The rows of a 64 x 256 matrix are packed, whole and in order, into rounds of 128 multipliers; a row
with more non-zeros is folded and has rounds to itself, one multiplier of each but the first of them
bringing in the psum. In each round 64 columns stream by. A round takes as long whether it is full
or not: at 30 % sparsity a row of about 179 non-zeros needs two rounds as one of 254 does, so that
dropping three non-zeros of ten saves 3 % of the time. At 70 % two rows seldom fit together, and
what ought to be a factor of 3.3 is 2.2.

Rounds are predicted: the mean over 16 draws of as many non-zeros as STONNE read, each place as
likely as any other, seeds 0 to 15. STONNE's own zeros are not known, and a single draw
differs from it by a few rounds. Cycles are rounds times the cycles of one round, 141.7, which are
fitted on the run without pruning and hold for the others: 64 columns of two cycles each, and 14 to
load the weights and fill the trees.
"""

from collections.abc import Iterator
from statistics import fmean
from typing import Any

import numpy as np

from hwsim.skipping import packed_rounds
from hwsim.validate import Fitted, Row, published

SEEDS = range(16)
FITTED = (
    Fitted(
        constant="cycles of a round",
        value="141.7",
        fitted_on="the run without zeros",
        checked_on="six runs of 30 to 95 % zeros",
    ),
)


def rows() -> Iterator[Row]:
    """Rounds and cycles at each sparsity."""
    table = published("stonne")
    runs = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
    fitted = next(run for run in runs if run["sparsity_percent"] == table["fitted_sparsity"])
    cycles_per_round = fitted["cycles"] / fitted["rounds"]
    for run in runs:
        rounds = fmean(_rounds(run["nonzeros"], table, seed) for seed in SEEDS)
        yield _row(run, "rounds", rounds, table)
        yield _row(run, "cycles", rounds * cycles_per_round, table, fitted=run is fitted)


def _row(
    run: dict[str, Any],
    quantity: str,
    simulated: float,
    table: dict[str, Any],
    *,
    fitted: bool = False,
) -> Row:
    return Row(
        machine="sigma_128",
        network="gemm 64x64x256",
        layer=f"{run['sparsity_percent']} % zeros",
        quantity=quantity,
        published=run[quantity],
        simulated=simulated,
        source=table["source"],
        fitted=fitted,
    )


def _rounds(nonzeros: int, table: dict[str, Any], seed: int) -> int:
    """Rounds of a matrix with so many non-zeros at random places."""
    rows, columns = table["M"], table["K"]
    places = np.random.default_rng(seed).choice(rows * columns, nonzeros, replace=False)
    in_row = np.bincount(places // columns, minlength=rows)
    return packed_rounds(in_row, multipliers=table["multipliers"], carried=table["carried"])
