"""Points of searches on the page: which ones nothing beats, where they lead, where names go."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hwsim import single
from hwsim.page import labels, page, runs, tradeoff, unfolded
from hwsim.page import nest as nests
from hwsim.page.points import Point, best_of
from hwsim.page.runs import Run
from hwsim.report import Report
from hwsim.results import write_files
from tests.complaints import refused
from tests.example_pages import FRONT, REPORT, saved

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

    def test_sides_lead_to_their_sections_and_points_to_layers_or_rows(self) -> None:
        known = FRONT[1] | {"record": "front/b.json"}
        run = Run(
            title="a",
            found=REPORT,
            front=tuple(Point.model_validate(one) for one in (FRONT[0], known)),
            layers={"front/b.json": REPORT.baseline},
        )
        found = tradeoff.placed([run], runs.sides([run]))
        assert [(each.link, each.side) for each in found] == [
            ("side-1", "side-1"),
            ("side-2", "side-2"),
            ("point-3", ""),
            ("point-4-layers", ""),
        ]

    def test_of_many_points_the_front_stays(self) -> None:
        many = [Point(label=str(n), energy_pj=n, latency_ms=2e4 - n) for n in range(500)]
        many += [Point(label=str(n), energy_pj=n, latency_ms=3e4) for n in range(9000)]
        found = tradeoff.placed([Run(title="a", found=None, front=tuple(many))], [])
        assert sum(each.best for each in found) == 500
        assert len(found) == 500 + tradeoff.MOST_OTHERS


class TestLayers:
    """Points whose layers are recorded in files of their own."""

    def folder(self, at: Path, report: Report = REPORT) -> Path:
        run = single.Run(
            hwsim_version="0", source="net", objective="edp", effort=0, side=report.baseline
        )
        folder = saved(at / "run", None, front=[FRONT[0] | {"record": "front/a.json"}, FRONT[1]])
        write_files({"front/a.json": single.to_json(run).encode()}, folder)
        return folder

    def test_a_point_leads_to_its_layers_and_these_to_their_mappings(self, tmp_path: Path) -> None:
        found = runs.load([self.folder(tmp_path)])
        (section,) = unfolded.sections(tradeoff.placed(found, []))
        side = REPORT.baseline
        moving = [row for row in side.layers if not row.fused_into]
        assert [row.cells[0].text for row in section.table.rows] == [row.name for row in moving]
        shown = {nest.key: nest.lines for nest in section.nests}
        for row, line in zip(moving, section.table.rows, strict=True):
            assert shown[line.cells[0].link.removeprefix("#")] == nests.lines(row)
        assert ("weight_bits", "4") in section.facts
        text = page.html(found)
        assert f'id="{section.key}"' in text
        assert text.count(f'href="#{section.key}"') >= 2  # of the chart, and of the table

    def test_layers_that_are_alike_share_a_mapping(self, tmp_path: Path) -> None:
        twin = REPORT.baseline.layers[0].model_copy(update={"name": "twin"})
        layers = (*REPORT.baseline.layers, twin)
        side = REPORT.baseline.model_copy(update={"layers": layers})
        folder = self.folder(tmp_path, REPORT.model_copy(update={"baseline": side}))
        (section,) = unfolded.sections(tradeoff.placed(runs.load([folder]), []))
        assert section.nests[0].title == f"{layers[0].name} and 1 alike"
        rows = section.table.rows
        assert rows[0].cells[0].link == rows[-1].cells[0].link == f"#{section.nests[0].key}"

    def test_a_record_that_is_gone(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path)
        (folder / "front" / "a.json").unlink()
        said = f"{folder / 'front.json'}: record = 'front/a.json': no such file"
        refused(lambda: runs.load([folder]), said)

    def test_a_record_whose_mapping_makes_no_sense(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path)
        file = folder / "front" / "a.json"
        content = json.loads(file.read_text(encoding="utf-8"))
        content["side"]["layers"][0]["mapping"][1]["tile"] = 0
        file.write_text(json.dumps(content), encoding="utf-8")
        refused(lambda: runs.load([folder]), f"{file}: layer 'stem.conv': K in tiles of 0")


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
