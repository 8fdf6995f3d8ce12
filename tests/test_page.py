"""The page of `hwsim report`: what is on it, that it needs nothing else, and what is refused."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from hwsim import single
from hwsim.cli import app
from hwsim.explain import loop_line
from hwsim.mapping import Loop
from hwsim.page import labels, nest, page, runs, tables, tradeoff
from hwsim.page.points import Point, best_of
from hwsim.page.runs import Run, Shown
from hwsim.report import Report, compare, to_json
from hwsim.results import write_files
from hwsim.workload import Layer, Network, Op
from tests.complaints import refused
from tests.example_report import EXAMPLES, example, example_side, layers, machine, result

REPORT = example(layers(2))
OTHER = compare(
    REPORT.baseline,
    example_side(layers(2), bits=4, top1=0.9),
    scenario="example_int4",
    description="Made up, too",
    seed=0,
    images=10_000,
)
STRIDED = Layer(name="strided", K=4, P=3, Q=5, R=3, S=3, stride_h=2, stride_w=3)
POOL = Layer(name="pool", op=Op.POOL, C=4, P=3, Q=5)
FRONT: list[dict[str, object]] = [
    {"label": "a", "energy_pj": 1e8, "latency_ms": 2.0, "accuracy": 0.9, "weight_bits": 4},
    {"label": "b <b>", "energy_pj": 2e8, "latency_ms": 3.0, "accuracy": 0.8, "area_mm2": 3.0},
]


def saved(folder: Path, report: Report | None, *, front: object = None) -> Path:
    """A folder of results."""
    folder.mkdir()
    if report:
        (folder / "report.json").write_text(to_json(report), encoding="utf-8")
    if front is not None:
        text = json.dumps({"schema_version": 1, "points": front})
        (folder / "front.json").write_text(text, encoding="utf-8")
    return folder


class Reader(HTMLParser):
    """The ids, links, addresses and tables of a page; `depth` is 0 where every tag is closed."""

    VOID = frozenset({"meta", "link", "input", "path", "line", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.referred: list[str] = []
        self.sources: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            for known, names in (
                (self.ids, {"id"}),
                (self.links, {"href", "xlink:href"}),
                (self.referred, {"aria-labelledby", "aria-describedby", "aria-controls", "for"}),
                (self.sources, {"src", "action", "style", "onclick", "onload"}),
            ):
                if name in names:
                    known += (value or "").split()

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


RUNS = (
    Run(title="first", found=REPORT),
    Run(
        title="second",
        found=OTHER,
        front=tuple(Point.model_validate(point) for point in FRONT),
    ),
)


@pytest.fixture(scope="module")
def text() -> str:
    """The page of two runs that share a baseline, with a search's front."""
    return page.html(RUNS)


class TestPage:
    def test_it_is_whole(self, text: str) -> None:
        found = Reader(text)
        assert not found.open
        assert len(found.ids) == len(set(found.ids))
        assert {link.removeprefix("#") for link in found.links} - {"data:,"} <= set(found.ids)
        assert set(found.referred) <= set(found.ids)

    def test_it_fetches_nothing(self, text: str) -> None:
        assert not Reader(text).sources
        addresses = set(re.findall(r"\w+://[^\s\"']+", text))
        assert all(found.startswith("http://www.w3.org/") for found in addresses)  # XML's names
        assert "url(" not in text

    def test_the_policy_allows_its_own_style_and_script_alone(self, text: str) -> None:
        (policy,) = re.findall(r'Policy" content="(.*?)">', text)
        assert policy.startswith("default-src 'none'; ")
        for tag in ("style", "script"):
            (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, flags=re.DOTALL)
            digest = b64encode(sha256(inside.encode()).digest()).decode()
            assert f"{tag}-src 'sha256-{digest}'" in policy

    def test_the_same_runs_give_the_same_text(self, text: str) -> None:
        assert page.html(RUNS) == text

    def test_names_are_text(self, text: str) -> None:
        assert "b <b>" not in text
        assert "b &lt;b&gt;" in text

    @pytest.mark.parametrize("found", [EXAMPLES["1 layer"], (POOL,)])
    def test_networks_without_much(self, found: tuple[Layer, ...]) -> None:
        text = page.html([Run(title="small", found=example(found))])
        assert not Reader(text).open
        assert ('id="roofline"' in text) == found[0].weighted


class TestSides:
    def test_a_shared_side_is_shown_once(self) -> None:
        shown = runs.sides([Run(title="a", found=REPORT), Run(title="b", found=OTHER)])
        assert [each.title for each in shown] == [
            "16-bit on example_16",
            "int8 on example_8",
            "int4 on example_4",
        ]
        assert [each.run for each in shown] == ["a", "a", "b"]

    def test_namesakes_are_told_apart(self) -> None:
        slower = example_side(layers(3), bits=8, top1=None)
        other = OTHER.model_copy(update={"compressed": slower})
        shown = runs.sides([Run(title="a", found=REPORT), Run(title="b", found=other)])
        assert [each.title for each in shown][1:] == [
            "int8 on example_8 (a)",
            "int8 on example_8 (b)",
        ]

    def test_layers_that_one_side_alone_has_follow_those_before_them(self) -> None:
        before, after = REPORT.sides[0][1], REPORT.sides[1][1]
        added = after.layers[1].model_copy(update={"name": "added"})
        after = after.model_copy(update={"layers": (*after.layers[:2], added, *after.layers[3:])})
        shown = [
            Shown(key="", title="", run="", side=before),
            Shown(key="", title="", run="", side=after),
        ]
        names = [(each.name, [row is not None for row in each.rows]) for each in runs.layers(shown)]
        assert names[1:4] == [
            (before.layers[1].name, [True, True]),
            ("added", [False, True]),
            (before.layers[2].name, [True, False]),
        ]


class TestTables:
    SHOWN = runs.sides([Run(title="a", found=REPORT), Run(title="b", found=OTHER)])

    def test_every_layer_is_there_with_its_energy(self) -> None:
        found = tables.layer_table(self.SHOWN, runs.layers(self.SHOWN))
        place = [column.title for column in found.columns].index("energy µJ")
        for each in self.SHOWN:
            rows = [row for row in found.rows if row.marks["side"] == each.title]
            assert [row.marks["name"] for row in rows] == [row.name for row in each.side.layers]
            total = sum(float(row.cells[place].value or 0) for row in rows)
            assert total == pytest.approx(each.side.energy_pj)

    def test_gains_are_the_reports(self) -> None:
        found = {row.cells[0].text: row.cells for row in tables.summary(self.SHOWN).rows}
        for name, gain in (
            ("energy µJ", REPORT.ratios.energy),
            ("latency ms", REPORT.ratios.latency),
            ("DRAM traffic kB", REPORT.ratios.dram),
        ):
            assert found[name][1].note == ""
            assert found[name][2].note == f"{gain:.2f}x"
        assert found["top-1 %"][2].note == "-0.06 points"


class TestNest:
    def test_lines(self) -> None:
        (row,) = (row for row in REPORT.baseline.layers if row.name == "stem.conv")
        found = nest.lines(row)
        assert [(line.kind, line.depth) for line in found] == [("store", 0), ("time", 0)]
        assert found[0].text == "DRAM keeps ifmap, weight, ofmap"
        assert found[1].text == loop_line(Loop("K", 1), 16) == "for K in 16 tiles of 1"

    def test_tiles_of_tiles(self) -> None:
        row = REPORT.baseline.layers[0].model_copy(
            update={
                "bounds": {"P": 10, "R": 3},
                "mapping": (
                    {"for": "P", "tile": 4},
                    {"for": "R", "tile": 1, "axis": "Y"},
                    {"for": "P", "tile": 1},
                ),
            }
        )
        assert [line.indented for line in nest.lines(row)] == [
            "for P in 3 tiles of 4, the last of 2",
            "  over Y: R in 3 tiles of 1",
            "    for P in 4 tiles of 1",
        ]


POINTS = st.lists(
    st.builds(
        Point,
        label=st.just(""),
        energy_pj=st.integers(0, 4),
        latency_ms=st.integers(0, 4),
        accuracy=st.sampled_from([None, 0.25, 0.5, 0.75]),
        area_mm2=st.sampled_from([None, 1, 2]),
    ),
    max_size=12,
)


def costs(point: Point) -> tuple[float, ...]:
    found = point.energy_pj, point.latency_ms, point.area_mm2, point.accuracy and -point.accuracy
    return tuple(cost for cost in found if cost is not None)


def beaten(point: Point, points: list[Point]) -> bool:
    """By the definition: another of its kind is nowhere worse and somewhere better."""
    alike = [
        costs(other)
        for other in points
        if (other.accuracy is None) == (point.accuracy is None)
        and (other.area_mm2 is None) == (point.area_mm2 is None)
    ]
    mine = costs(point)
    return any(all(a <= b for a, b in zip(c, mine, strict=True)) and c != mine for c in alike)


class TestTradeoff:
    @given(POINTS)
    def test_the_front_is_what_nothing_beats(self, points: list[Point]) -> None:
        assert best_of(points) == tuple(not beaten(point, points) for point in points)

    def test_sides_lead_to_their_sections_and_points_to_their_rows(self) -> None:
        run = Run(title="a", found=REPORT, front=tuple(Point.model_validate(one) for one in FRONT))
        found = tradeoff.placed([run], runs.sides([run]))
        assert [(each.link, each.is_side) for each in found] == [
            ("side-1", True),
            ("side-2", True),
            ("point-3", False),
            ("point-4", False),
        ]

    def test_of_many_points_the_front_stays(self) -> None:
        many = [Point(label=str(n), energy_pj=n, latency_ms=2e4 - n) for n in range(500)]
        many += [Point(label=str(n), energy_pj=n, latency_ms=3e4) for n in range(9000)]
        found = tradeoff.placed([Run(title="a", found=None, front=tuple(many))], [])
        assert sum(each.best for each in found) == 500
        assert len(found) == 500 + tradeoff.MOST_OTHERS


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
        table = tables.layer_table(shown, runs.layers(shown))
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
            ({}, "points = {}: Input should be a valid tuple"),
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


def test_a_front_that_is_not_json(tmp_path: Path) -> None:
    run = saved(tmp_path / "run", REPORT)
    (run / "front.json").write_text("{", encoding="utf-8")
    refused(lambda: runs.load([run]), f"{run / 'front.json'}: is not a front: ")


@given(
    st.lists(
        st.tuples(st.text("abc ", max_size=30), st.floats(0, 440), st.floats(0, 320)), max_size=12
    )
)
def test_no_name_covers_another_or_a_point(found: list[tuple[str, float, float]]) -> None:
    names, places = [name for name, _, _ in found], [(x, y) for _, x, y in found]
    chosen = labels.spots(names, places, width_px=440)
    assert len(chosen) == len(found)
    boxes = [
        labels._box(name, place, spot)
        for name, place, spot in zip(names, places, chosen, strict=True)
        if spot
    ]
    for i, box in enumerate(boxes):
        assert 0 <= box.left <= box.right <= 440
        assert not any(box.meets(other) for other in boxes[:i])
        assert not any(box.left < x < box.right and box.top < y < box.bottom for x, y in places)
