"""The page of `hwsim report`: what is on it, and that it needs nothing else."""

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from hwsim import single
from hwsim.explain import loop_line
from hwsim.mapping import Loop
from hwsim.page import layer_table, nest, page, runs, tables
from hwsim.page.points import Point
from hwsim.page.runs import Run, Shown
from hwsim.workload import Layer, Op
from tests.example_pages import FRONT, OTHER, REPORT
from tests.example_report import EXAMPLES, example, example_side, layers

POOL = Layer(name="pool", op=Op.POOL, C=4, P=3, Q=5)


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

    def test_one_side_trades_nothing_off(self) -> None:
        run = single.Run(
            hwsim_version="0", source="net", objective="edp", effort=0, side=REPORT.baseline
        )
        text = page.html([Run(title="one", found=run)])
        assert 'id="tradeoff"' not in text
        assert 'href="#tradeoff"' not in text
        assert not Reader(text).open


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
        found = layer_table.of_sides(self.SHOWN, runs.layers(self.SHOWN))
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
