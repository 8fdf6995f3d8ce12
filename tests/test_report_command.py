"""`hwsim report` from the shell: what it takes, and what is refused."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hwsim import single
from hwsim.cli import app
from hwsim.page import layer_table, page, runs
from hwsim.report import to_json
from hwsim.results import write_files
from hwsim.workload import Layer, Network, Op
from tests.example_pages import FRONT, OTHER, REPORT, saved
from tests.example_report import machine, result

STRIDED = Layer(name="strided", K=4, P=3, Q=5, R=3, S=3, stride_h=2, stride_w=3)
POOL = Layer(name="pool", op=Op.POOL, C=4, P=3, Q=5)


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["report", *map(str, arguments)], catch_exceptions=False)


class TestVerb:
    def test_a_run_gets_its_page(self, tmp_path: Path) -> None:
        run = saved(tmp_path / "run", REPORT)
        result = invoke(run)
        assert (result.exit_code, result.stdout) == (0, f"{run / 'report.html'}\n")
        assert "<title>example_int8 · hwsim</title>" in (run / "report.html").read_text()

    def test_several_runs_share_a_page(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        saved(tmp_path / "a", REPORT)
        saved(tmp_path / "b", OTHER)
        assert invoke("a", "b/report.json").stdout == "results/comparison.html\n"
        assert "int4 on example_4" in Path("results/comparison.html").read_text()

    def test_where_it_is_and_what_is_on_it_as_json(self, tmp_path: Path) -> None:
        run = saved(tmp_path / "run", REPORT, front=FRONT)
        assert json.loads(invoke(run, "--json").stdout) == {
            "page": str(run / "report.html"),
            "runs": [{"title": "example_int8", "sides": 2, "points": 2}],
        }

    def test_a_front_alone(self, tmp_path: Path) -> None:
        run = saved(tmp_path / "search", None, front=FRONT)
        out = tmp_path / "deep" / "er.html"
        assert invoke(run, "--out", out).exit_code == 0
        found = out.read_text()
        assert "weight_bits" in found
        assert 'id="layers"' not in found

    def test_what_simulate_leaves(self, tmp_path: Path) -> None:
        """Beside a scenario, whose sides come first; an older record knows no strides."""
        network = Network(name="net", layers=(STRIDED, POOL))
        run = single.record(
            result(network, machine(bits=8)), source="net.onnx", objective="edp", effort=0
        )
        folder, old = tmp_path / "one", tmp_path / "old.json"
        write_files(single.contents(run), folder)
        content = json.loads(single.to_json(run))
        del content["side"]["layers"][0]["strides"]
        old.write_text(json.dumps(content, indent=1), encoding="utf-8")
        found = runs.load([saved(tmp_path / "run", REPORT), folder, old])
        assert [each.title for each in found][1:] == [
            "net on example_8 (one)",
            "net on example_8 (old)",
        ]
        shown = runs.sides(found)
        assert [each.title for each in shown][2:] == [
            "net on example_8 (one)",
            "net on example_8 (old)",
        ]
        table = layer_table.of_sides(shown, runs.layers(shown))
        place = [column.title for column in table.columns].index("stride")
        strides = [row.cells[place].text for row in table.rows if row.marks["name"] == "strided"]
        assert strides == ["2 x 3", "-"]
        assert "net.onnx on example_8, mapped for least edp." in page.html(found)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("[]", "is not a report: holds a list"),
            ("{", "is not a report: "),
            ("{}", "schema_version = None: this hwsim reads 1"),
            ('{"schema_version": 0}', "schema_version = 0: this hwsim reads 1"),
            ('{"schema_version": 1}', "hwsim_version = None: Field required"),
        ],
    )
    def test_no_report(self, tmp_path: Path, content: str, said: str) -> None:
        run = saved(tmp_path / "run", None)
        (run / "report.json").write_text(content, encoding="utf-8")
        self._refused(invoke(run), f"{run / 'report.json'}: {said}")

    @pytest.mark.parametrize(
        ("points", "said"),
        [
            ({}, "points = {}: must be a list"),
            ([{"label": "a"}], "points.0.energy_pj = None: Field required"),
            ([FRONT[0] | {"accuracy": 94.1}], "points.0.accuracy = 94.1: "),
            ([FRONT[0] | {"plan": {"a": 1}}], "points.0.plan"),
        ],
    )
    def test_no_front(self, tmp_path: Path, points: object, said: str) -> None:
        run = saved(tmp_path / "run", REPORT, front=points)
        self._refused(invoke(run), f"{run / 'front.json'}: {said}")

    def test_a_mapping_that_makes_no_sense(self, tmp_path: Path) -> None:
        content = json.loads(to_json(REPORT))
        content["baseline"]["layers"][0]["mapping"][1]["tile"] = 0
        run = saved(tmp_path / "run", None)
        (run / "report.json").write_text(json.dumps(content), encoding="utf-8")
        said = "layer 'stem.conv': K in tiles of 0: no such dimension, or no such tile"
        self._refused(invoke(run), f"{run / 'report.json'}: {said}")

    def test_no_such_run(self, tmp_path: Path) -> None:
        self._refused(invoke(tmp_path / "gone"), f"{tmp_path / 'gone'}: no such folder or file")

    def test_a_folder_of_something_else(self, tmp_path: Path) -> None:
        said = "holds no report.json, run.json, front.json, points.sqlite; name a folder"
        self._refused(invoke(tmp_path), f"{tmp_path}: {said}")

    def test_the_same_run_twice(self, tmp_path: Path) -> None:
        run = saved(tmp_path / "run", REPORT)
        again = tmp_path / "run" / ".." / "run" / "report.json"
        self._refused(invoke(run, again), f"{run}: is named twice; name each run once")

    def test_two_reports_of_a_folder_are_two_runs(self, tmp_path: Path) -> None:
        for name, report in (("a.json", REPORT), ("b.json", OTHER)):
            (tmp_path / name).write_text(to_json(report), encoding="utf-8")
        found = runs.load([tmp_path / "a.json", tmp_path / "b.json"])
        assert [run.title for run in found] == ["example_int8", "example_int4"]

    def test_namesakes_are_told_apart_by_their_folders(self, tmp_path: Path) -> None:
        found = runs.load([saved(tmp_path / name, REPORT) for name in ("a", "b")])
        assert [run.title for run in found] == ["example_int8 (a)", "example_int8 (b)"]

    def test_an_empty_front_alone(self, tmp_path: Path) -> None:
        run = saved(tmp_path / "search", None, front=[])
        self._refused(invoke(run), f"{run / 'front.json'}: points = []: nothing to show")

    def test_a_page_where_a_folder_is(self, tmp_path: Path) -> None:
        run = saved(tmp_path / "run", REPORT)
        self._refused(invoke(run, "--out", tmp_path), f"{tmp_path}: is a folder; name the file")

    @pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs /proc")
    def test_where_nobody_may_write(self, tmp_path: Path) -> None:
        run = saved(tmp_path / "run", REPORT)
        said = "/proc: results cannot be written there"
        self._refused(invoke(run, "--out", "/proc/page.html"), said)

    def _refused(self, result: Result, said: str) -> None:
        assert (result.exit_code, result.stdout) == (2, "")
        (line,) = result.stderr.splitlines()
        assert line.startswith(f"error: {said}")
