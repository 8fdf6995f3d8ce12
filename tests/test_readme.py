"""The README's figures are those of the report that it shows."""

from hwsim.report import read
from hwsim.table import digits
from tests.pages import PAGES, ROOT

SHOWN = ROOT / "docs" / "mobilenet_int8" / "report.json"


def test_the_figures_are_those_of_the_report_shown() -> None:
    report = read(SHOWN)
    for _, side in report.sides:
        assert side.top1 is not None
        assert f"{100 * side.top1:.2f}" in PAGES["README.md"]
        assert f" {digits(side.energy_pj / 1e6)} " in PAGES["README.md"]
        assert f"{side.latency_ms:.2f}" in PAGES["README.md"]
