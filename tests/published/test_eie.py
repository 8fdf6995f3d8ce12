"""EIE (Han et al., ISCA 2016): what its queues cost, from densities alone."""

import pytest

from hwsim.validate import Row, published
from hwsim.validation import eie


@pytest.fixture(scope="module")
def rows() -> dict[str, list[Row]]:
    """The rows by quantity."""
    found: dict[str, list[Row]] = {}
    for row in eie.rows():
        found.setdefault(row.quantity, []).append(row)
    return found


def mean_error(rows: list[Row]) -> float:
    return sum(abs(row.error) for row in rows) / len(rows)


@pytest.mark.parametrize(("quantity", "mean"), [("theoretical_us", 0.10), ("latency_us", 0.10)])
def test_times_agree_on_average(rows: dict[str, list[Row]], quantity: str, mean: float) -> None:
    """The mean alone is held: weight densities are published in whole percent, 4 % at the least."""
    print(f"\n{quantity}: mean error {mean_error(rows[quantity]):.1%}")
    for row in rows[quantity]:
        name = f"{row.network} {row.layer}"
        print(f"{name:16} {row.published:6.1f} {row.simulated:6.2f} {row.error:+7.1%}")
    assert len(rows[quantity]) == 9
    assert mean_error(rows[quantity]) < mean


def test_queues_cost_what_they_are_published_to(rows: dict[str, list[Row]]) -> None:
    """Actual over theoretical time: 1.04 to 1.54, dearest where columns are short."""
    print("\nactual / theoretical, published and simulated")
    for even, actual in zip(rows["theoretical_us"], rows["latency_us"], strict=True):
        ours, theirs = actual.simulated / even.simulated, actual.published / even.published
        print(f"{even.network:10} {even.layer:5} {theirs:.3f} {ours:.3f} {ours / theirs - 1:+.1%}")
        assert ours > 1.0
        assert ours == pytest.approx(theirs, rel=0.12)


def test_energy_is_the_published_power_over_time(rows: dict[str, list[Row]]) -> None:
    power_w = published("eie")["power_w"]
    for energy, actual in zip(rows["energy_uj"], rows["latency_us"], strict=True):
        assert energy.simulated == pytest.approx(power_w * actual.simulated)
        assert energy.error == pytest.approx(actual.error)
        assert "0.59 W" in energy.source


def test_nothing_is_fitted_and_all_repeats(rows: dict[str, list[Row]]) -> None:
    assert not any(row.fitted for row in rows["latency_us"])
    assert list(eie.rows())[1] == rows["latency_us"][0]
