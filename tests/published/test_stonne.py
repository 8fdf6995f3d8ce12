"""STONNE's SIGMA: packing quantises what sparsity gains."""

import pytest

from hwsim.validate import Row
from hwsim.validation import stonne

Rows = dict[str, list[Row]]


@pytest.fixture(scope="module")
def rows() -> Rows:
    """The rows by quantity, from no zeros to 95 %."""
    found = list(stonne.rows())
    return {name: [row for row in found if row.quantity == name] for name in ("rounds", "cycles")}


@pytest.mark.parametrize("quantity", ["rounds", "cycles"])
def test_every_sparsity_agrees_within_five_percent(rows: Rows, quantity: str) -> None:
    """STONNE's own zeros are unknown: one draw of its rounds scatters by as much."""
    print(f"\n{quantity}")
    for row in rows[quantity]:
        print(f"{row.layer:10} {row.published:8.0f} {row.simulated:8.1f} {row.error:+.1%}")
        assert abs(row.error) < 0.05


def test_a_third_of_the_weights_is_worth_three_percent(rows: Rows) -> None:
    """Published 18562 / 18039 = 1.03 at 30 %, 18562 / 8502 = 2.18 at 70 %; ideal 1.43, 3.4."""
    dense, third, half, most = (row.simulated for row in rows["cycles"][:4])
    print(f"\ngain at 30 / 50 / 70 %: {dense / third:.2f} {dense / half:.2f} {dense / most:.2f}")
    assert 1.0 < dense / third < 1.06
    assert dense / most == pytest.approx(18562 / 8502, rel=0.05)


def test_only_the_cycles_of_the_dense_run_are_fitted(rows: Rows) -> None:
    assert [row.layer for row in rows["cycles"] if row.fitted] == ["0 % zeros"]
    assert not any(row.fitted for row in rows["rounds"])
