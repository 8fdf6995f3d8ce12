"""Reports: what they hold, that totals are sums of rows, and that files appear whole or not."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from hwsim import gallery, registry, report
from hwsim.cost import COMPONENTS
from hwsim.errors import InputError
from hwsim.report import (
    Report,
    compare,
    contents,
    read,
    to_csv,
    to_json,
)
from hwsim.results import check_writable
from hwsim.side import LayerRow, Side, _dram_bits_per_cycle
from hwsim.table import MIN_COLUMNS, digits, show
from hwsim.workload import Layer, Op
from tests.example_report import EXAMPLES, example, example_side, layers, machine

REPORT = example(layers(3))
PLOTS = gallery.plots("draw")
SIDE_KEYS = {"energy_pj", "cycles", "dram_bits", "top1", "layers"}
LAYER_KEYS = {
    "name",
    "macs",
    "cycles",
    "energy_pj",
    "utilization",
    "energy_by_component_pj",
}


def _printed(found: Report, *, columns: int) -> str:
    text = StringIO()
    show(found, Console(file=text, width=columns))
    return text.getvalue()


@pytest.mark.parametrize("side", ["baseline", "compressed"])
def test_json_holds_the_promised_keys(side: str) -> None:
    content = json.loads(to_json(REPORT))
    assert content["schema_version"] == 1
    assert content[side].keys() >= SIDE_KEYS
    assert all(layer.keys() >= LAYER_KEYS for layer in content[side]["layers"])
    assert all(tuple(x["energy_by_component_pj"]) == COMPONENTS for x in content[side]["layers"])


@pytest.mark.parametrize("key", EXAMPLES)
def test_totals_are_sums_of_rows(key: str) -> None:
    for _, side in example(EXAMPLES[key]).sides:
        for name in ("cycles", "macs", "dram_bits"):
            assert getattr(side, name) == sum(getattr(row, name) for row in side.layers)
        assert side.energy_pj == float(sum(Fraction(row.energy_pj) for row in side.layers))
        for name, energy in side.energy_by_component_pj.items():
            exact = sum(Fraction(row.energy_by_component_pj[name]) for row in side.layers)
            assert energy == float(exact)
        parts = sum(side.energy_by_component_pj.values())
        assert side.energy_pj == pytest.approx(parts, rel=1e-12)


def test_ratios_are_baseline_over_compressed() -> None:
    before, after, ratios = REPORT.baseline, REPORT.compressed, REPORT.ratios
    assert ratios.energy == before.energy_pj / after.energy_pj
    assert ratios.latency == before.latency_ms / after.latency_ms
    assert ratios.dram == pytest.approx(2.0)


def test_latency_follows_the_clock() -> None:
    side = REPORT.baseline
    assert side.latency_ms == pytest.approx(side.cycles / 200e6 * 1e3)


def test_a_ratio_over_zero_is_none() -> None:
    nothing = (Layer(name="relu", op=Op.CONCAT, C=4, P=3, Q=5),)
    assert example(nothing).ratios.macs is None


def test_utilization_is_of_all_cycles() -> None:
    side = REPORT.baseline
    operations = sum(row.operations for row in side.layers if row.cycles)
    assert side.utilization == pytest.approx(operations / (168 * side.cycles))


@pytest.mark.parametrize(("shared", "bits"), [(True, 64), (False, 128)])
def test_dram_roof_counts_ports_once(shared: bool, bits: int) -> None:
    assert _dram_bits_per_cycle(machine(shared_port=shared)) == bits
    assert _dram_bits_per_cycle(machine(dram_bits_per_cycle=None)) is None


def test_a_layer_split_by_compression_stays_in_order() -> None:
    first, *rest = layers(1)
    halves = tuple(Layer(name=f"stem.{half}", K=8, C=3, P=32, Q=24) for half in range(2))
    found = compare(
        example_side((first, *rest), bits=16, top1=None),
        example_side((*halves, *rest), bits=8, top1=None),
        scenario="split",
        description="",
        seed=0,
    )
    names = [[row and row.name for row in pair] for pair in found.pairs]
    assert names[:4] == [
        [None, "stem.0"],
        [None, "stem.1"],
        ["stem.conv", None],
        ["blocks.0.depthwise.conv"] * 2,
    ]
    assert "stem.1" in _printed(found, columns=MIN_COLUMNS)


def test_folding_loses_no_energy() -> None:
    for index, (_, side) in enumerate(REPORT.sides):
        folded = [row for pair in REPORT.folded_pairs if (row := pair[index])]
        assert sum(row.energy_pj for row in folded) == pytest.approx(side.energy_pj)
        assert folded[-1].name == "3 fused layers"


def test_read_returns_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(to_json(REPORT), encoding="utf-8")
    assert read(path) == REPORT
    assert to_json(read(path)) == to_json(REPORT)


def _drop_cycles(content: dict[str, object]) -> None:
    baseline = content["baseline"]
    assert isinstance(baseline, dict)
    del baseline["cycles"]


def _age(content: dict[str, object]) -> None:
    content["schema_version"] = 2


@pytest.mark.parametrize(
    ("change", "key"), [(_drop_cycles, "baseline.cycles"), (_age, "schema_version = 2")]
)
def test_read_names_file_and_key(
    tmp_path: Path, change: Callable[[dict[str, object]], None], key: str
) -> None:
    content = json.loads(to_json(REPORT))
    change(content)
    path = tmp_path / "old.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match=key) as caught:
        read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"])
def test_read_refuses_what_is_no_report(tmp_path: Path, text: str) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"report\.json.*not a report"):
        read(path)


def test_csv_has_a_row_per_side_and_layer() -> None:
    rows = list(csv.DictReader(StringIO(to_csv(REPORT))))
    assert len(rows) == len(REPORT.baseline.layers) + len(REPORT.compressed.layers)
    first = rows[0]
    assert (first["side"], first["name"]) == ("baseline", "stem.conv")
    assert float(first["energy_MAC_pj"]) == REPORT.baseline.layers[0].energy_by_component_pj["MAC"]
    assert int(first["dram_bits"]) == REPORT.baseline.layers[0].dram_bits


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return contents(REPORT, PLOTS)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]) -> None:
    """Draws the plots once for all tests of writing."""
    monkeypatch.setattr(report, "contents", lambda found, plots: files)


@pytest.mark.usefixtures("drawn")
def test_write_replaces_its_own_files_only(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "run"
    paths = report.write(REPORT, folder, plots=PLOTS)
    (folder / "mine.txt").write_text("keep")
    (folder / "report.json").write_text("stale")
    assert report.write(REPORT, folder, plots=PLOTS) == paths
    assert {path.name for path in folder.iterdir()} == {path.name for path in paths} | {"mine.txt"}
    assert read(folder / "report.json") == REPORT
    assert [path.name for path in folder.parent.iterdir()] == ["run"]


@pytest.mark.usefixtures("drawn")
def test_new_folders_follow_the_umask(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    report.write(REPORT, tmp_path / "run", plots=PLOTS)
    assert (tmp_path / "run").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_failing_plot_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(found: Report) -> None:
        raise RuntimeError(found.scenario)

    monkeypatch.setattr(registry.module("plot", "roofline"), "draw", draw)
    with pytest.raises(RuntimeError):
        report.write(REPORT, tmp_path / "results" / "run", plots=PLOTS)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("drawn")
def test_a_failing_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match=r"run: results cannot be written there: No space left"):
        report.write(REPORT, tmp_path / "run", plots=PLOTS)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize(
    "act", [check_writable, lambda folder: report.write(REPORT, folder, plots=PLOTS)]
)
def test_an_unwritable_folder_is_named(tmp_path: Path, act: Callable[[Path], object]) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "deeper" / "run"
    with pytest.raises(InputError, match="results cannot be written there") as caught:
        act(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="Permission denied"):
        check_writable(tmp_path / "run")


def test_checking_leaves_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "results" / "run")
    assert not list(tmp_path.iterdir())


def test_importing_the_report_loads_neither_matplotlib_nor_torch() -> None:
    code = (
        "import sys, hwsim.report, hwsim.table; print({'matplotlib', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("columns", [40, 80, 100, 120, 200])
def test_table_cuts_no_number(columns: int) -> None:
    text = _printed(REPORT, columns=columns)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= max(columns, MIN_COLUMNS)
    words = text.split()
    for _, side in REPORT.sides:
        assert {f"{side.cycles:,}", digits(side.energy_pj / 1e6)} <= set(words)
        for row in side.layers:
            assert row.fused_into or {f"{row.cycles:,}", digits(row.energy_pj / 1e6)} <= set(words)
    for word in ("92.61", "92.55", "-0.06", "10,000", "spad", "blocks.2.act"):
        assert word in text


def _enlarged(found: Report, factor: int) -> Report:
    def row(old: LayerRow) -> LayerRow:
        energies = {name: 1e9 * factor for name in COMPONENTS}
        return old.model_copy(
            update={"cycles": old.cycles * factor, "energy_by_component_pj": energies}
        )

    def side(old: Side) -> Side:
        return old.model_copy(update={"layers": tuple(map(row, old.layers))})

    return found.model_copy(
        update={"baseline": side(found.baseline), "compressed": side(found.compressed)}
    )


def test_table_widens_before_it_cuts() -> None:
    huge = _enlarged(REPORT, 10**6)
    text = _printed(huge, columns=80)
    for row in huge.baseline.layers:
        assert row.fused_into or f"{row.cycles:,}" in text
    assert f"{10**9:,}" in text


def test_clock_and_leakage_show_where_spent() -> None:
    assert "clock" not in _printed(REPORT, columns=120)
    energies = REPORT.baseline.energy_by_component_pj | {"clock": 1.0}
    baseline = REPORT.baseline.model_copy(update={"energy_by_component_pj": energies})
    assert "clock" in _printed(REPORT.model_copy(update={"baseline": baseline}), columns=120)


def test_accuracy_may_be_unknown() -> None:
    sides = [side.model_copy(update={"top1": None}) for _, side in REPORT.sides]
    found = REPORT.model_copy(update={"baseline": sides[0], "compressed": sides[1], "images": 0})
    assert _printed(found, columns=100).count("not measured") == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0004, "<0.001"),
        (0.00456, "0.0046"),
        (0.0099996, "0.0100"),
        (0.01234, "0.0123"),
        (0.9996, "1.00"),
        (12.345, "12.3"),
        (99.96, "100"),
        (1234567.0, "1,230,000"),
    ],
)
def test_digits(value: float, text: str) -> None:
    assert digits(value) == text


@given(st.floats(min_value=0.001, max_value=1e12))
def test_digits_keep_three_or_four_decimals(value: float) -> None:
    assert float(digits(value).replace(",", "")) == pytest.approx(value, rel=0.00502, abs=5.1e-5)


def test_only_the_named_plots_are_drawn(tmp_path: Path) -> None:
    report.write(REPORT, tmp_path / "run", plots=["roofline"])
    found = {path.name for path in (tmp_path / "run").iterdir()}
    assert found == {"report.json", "layers.csv", "roofline.png", "roofline.svg"}
