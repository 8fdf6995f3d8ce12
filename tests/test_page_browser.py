"""The page of `hwsim report` in a headless Chromium: pointer, keyboard, and no script."""

import re
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

import pytest

from hwsim.page import page as page_module
from hwsim.page.points import Point
from hwsim.page.runs import Run
from tests.example_report import example, layers

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

CHROMIUM = which("chromium") or which("chromium-browser") or which("google-chrome")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")

OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
REPORT = example(layers(4))
MAPPED = [row for row in REPORT.baseline.layers if not row.fused_into]
UNFOLDED = Point(label="unfolded", energy_pj=1.0, latency_ms=9.0, record="layers.json")
BEATEN = Point(label="beaten", energy_pj=1e10, latency_ms=1e3, accuracy=0.5)


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a page on the disk."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    layers = {"layers.json": REPORT.baseline}
    run = Run(title="example", found=REPORT, front=(BEATEN, UNFOLDED), layers=layers)
    path.write_text(page_module.html([run]), encoding="utf-8")
    return path.as_uri()


def complaints(page: "Page") -> list[str]:
    """Fills up with what the console says, with errors, and with every request."""
    said: list[str] = []
    page.on("console", lambda message: said.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("request", lambda request: said.append(f"request: {request.url}"))
    return said


@pytest.fixture
def page(browser: "Browser", file: str) -> Iterator["Page"]:
    """The page, opened; at the end nothing was said and nothing but it was asked for."""
    found = browser.new_page(viewport={"width": 1200, "height": 800}, color_scheme="light")
    said = complaints(found)
    found.goto(file)
    yield found
    assert said == [f"request: {file}"]
    found.close()


def column(page: "Page", title: str) -> list[str]:
    """The texts below a heading of the table of layers, hidden rows left out."""
    heads = [head.strip() for head in page.locator("#layer-table thead th").all_inner_texts()]
    place = next(i for i, head in enumerate(heads, 1) if head.startswith(title))
    cells = page.locator(f"#layer-table tbody tr:not([hidden]) > :nth-child({place})")
    return [text.strip() for text in cells.all_inner_texts()]


def heading(page: "Page", title: str) -> "Locator":
    return page.locator("#layer-table thead").get_by_role("button", name=title)


def background(page: "Page") -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


class TestTable:
    def test_it_sorts(self, page: "Page") -> None:
        before = column(page, "layer")
        head = page.locator("#layer-table thead th", has_text="energy")
        for way, sign in (("descending", -1), ("ascending", 1)):
            heading(page, "energy").click()
            assert head.get_attribute("aria-sort") == way
            energies = [float(text.replace(",", "")) for text in column(page, "energy")]
            assert energies == sorted(energies, key=lambda energy: sign * energy)
            assert len(set(energies)) > 5
        assert page.locator("#news").inner_text() == "Sorted ascending by energy µJ."
        heading(page, "energy").click()
        assert head.get_attribute("aria-sort") is None
        assert column(page, "layer") == before

    @pytest.mark.slow
    def test_words_sort_from_a_and_one_heading_at_a_time(self, page: "Page") -> None:
        heading(page, "cycles").click()
        heading(page, "layer").click()
        names = column(page, "layer")
        assert names == sorted(names)
        assert page.locator("#layer-table [aria-sort]").count() == 1

    def test_it_sorts_by_keyboard(self, page: "Page") -> None:
        heading(page, "MACs").focus()
        page.keyboard.press("Enter")
        macs = [int(text.replace(",", "")) for text in column(page, "MACs")]
        assert macs == sorted(macs, reverse=True)

    def test_it_filters(self, page: "Page") -> None:
        assert len(column(page, "layer")) == 2 * len(MAPPED)
        page.get_by_label("Name holds").fill("DEPTH")
        assert set(column(page, "layer")) == {r.name for r in MAPPED if "depth" in r.name}
        page.locator("#filters").get_by_label("Side").select_option("int8 on example_8")
        assert set(column(page, "side")) == {"int8 on example_8"}
        assert page.locator("#count").inner_text().startswith("4 of ")
        page.get_by_role("button", name="Clear").click()
        page.locator("#count").filter(has_text=re.compile("^2")).wait_for()
        page.get_by_label("fused layers too").check()
        assert len(column(page, "layer")) == 2 * len(REPORT.baseline.layers)
        page.locator("#filters").get_by_label("Operation").select_option("linear")
        assert set(column(page, "layer")) == {"classifier"}

    @pytest.mark.slow
    def test_a_side_alone(self, page: "Page") -> None:
        page.locator("#side-2").get_by_role("button").click()
        assert set(column(page, "side")) == {"int8 on example_8"}


class TestCharts:
    def test_a_tip_at_the_pointer(self, page: "Page") -> None:
        tip = page.get_by_role("tooltip")
        assert tip.is_hidden()
        page.locator("#latency-chart-title + .scroll a path").nth(2).hover()
        assert tip.inner_text().splitlines()[0] == "16-bit on example_16"
        assert "top-1 92.61 %" in tip.inner_text()
        page.keyboard.press("Escape")
        assert tip.is_hidden()
        page.locator("#energy-chart-title + .scroll .mark-rect path").nth(1).hover()
        assert "spad:" in tip.inner_text()
        page.locator("#roofline-chart-title + .scroll .mark-symbol path").nth(2).hover()
        assert "% of its roof" in tip.inner_text()
        page.mouse.move(2, 2)
        assert tip.is_hidden()

    def test_points_are_links(self, page: "Page") -> None:
        page.locator("#latency-chart-title + .scroll a").nth(2).focus()
        assert page.get_by_role("tooltip").is_visible()
        page.keyboard.press("Enter")
        assert page.url.endswith("#side-1")
        page.locator("#accuracy-chart-title + .scroll a").first.focus()
        page.keyboard.press("Enter")
        assert page.url.endswith("#point-4")
        assert "beaten" in page.locator("tr:target").inner_text()

    def test_every_chart_says_what_it_shows(self, page: "Page") -> None:
        charts = page.locator("figure svg")
        assert charts.count() == 6
        for chart in charts.all():
            for name in ("aria-labelledby", "aria-describedby"):
                assert page.locator(f"#{chart.get_attribute(name)}").inner_text()

    @pytest.mark.slow
    def test_a_choice_of_quantities(self, page: "Page") -> None:
        assert page.locator("#beside-energy").is_visible()
        page.get_by_role("radio", name="energy").focus()
        page.keyboard.press("ArrowDown")
        assert page.locator("#beside-latency").is_visible()
        assert page.locator("#beside-energy").is_hidden()


class TestMappings:
    def test_a_link_unfolds_a_layer(self, page: "Page") -> None:
        nest = page.get_by_label("Loop nest of stem.conv, 16-bit")
        assert nest.is_hidden()
        page.locator("#layer-table").get_by_role("link", name="stem.conv").first.focus()
        page.keyboard.press("Enter")
        nest.wait_for()
        assert nest.inner_text().split("\n")[:2] == [
            "DRAM keeps ifmap, weight, ofmap",
            "for K in 16 tiles of 1",
        ]

    def test_a_point_unfolds_its_layers_and_a_layer_there_its_nest(self, page: "Page") -> None:
        nest = page.get_by_label("Loop nest of stem.conv, unfolded")
        page.locator("#latency-chart-title + .scroll a[*|href='#point-3-layers']").click()
        table = page.locator("#point-3-layers-table")
        table.wait_for()
        assert table.locator("tbody tr").count() == len(MAPPED)
        assert nest.is_hidden()
        table.get_by_role("link", name="stem.conv").click()
        nest.wait_for()
        assert nest.inner_text().startswith("DRAM keeps")

    @pytest.mark.slow
    def test_a_link_to_a_nest_unfolds_what_is_around_it(self, page: "Page") -> None:
        page.goto(f"{page.url}#point-3-layers-1")
        assert page.get_by_label("Loop nest of stem.conv, unfolded").is_visible()

    @pytest.mark.slow
    def test_all_unfold(self, page: "Page") -> None:
        page.get_by_role("button", name="Unfold all").click()
        assert page.locator("details[open]").count() == len(MAPPED)


class TestLooks:
    def test_light_and_dark(self, page: "Page") -> None:
        assert background(page) == "rgb(255, 255, 255)"
        page.emulate_media(color_scheme="dark")
        dark = background(page)
        assert all(int(part) < 50 for part in re.findall(r"\d+", dark))
        page.get_by_label("Colours").select_option("light")
        assert background(page) == "rgb(255, 255, 255)"
        page.emulate_media(color_scheme="light")
        page.get_by_label("Colours").select_option("dark")
        assert background(page) == dark

    def test_a_narrow_window_scrolls_down_alone(self, page: "Page") -> None:
        page.set_viewport_size({"width": 360, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360

    @pytest.mark.slow
    def test_the_first_stop_of_the_keyboard_skips_to_the_report(self, page: "Page") -> None:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the report"


@pytest.mark.slow
def test_without_script_all_is_there(browser: "Browser", file: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file)
    assert page.locator("#layer-table tbody tr").last.is_visible()
    assert page.locator("#beside-dram").is_visible()
    assert page.locator("#filters").is_hidden()
    context.close()


@pytest.mark.slow
def test_a_link_to_a_layer_unfolds_it_at_once(browser: "Browser", file: str) -> None:
    page = browser.new_page()
    page.goto(f"{file}#layer-2")
    assert page.locator("#layer-2").evaluate("each => each.open")
    page.close()


@pytest.mark.slow
def test_a_thousand_points_and_a_deep_network(browser: "Browser", tmp_path: Path) -> None:
    report = example(layers(60))
    points = [
        Point(label=f"point {n}", energy_pj=1e6 * (n + 1), latency_ms=9e3 / (n + 1) ** 0.5)
        for n in range(1000)
    ]
    path = tmp_path / "large.html"
    path.write_text(page_module.html([Run(title="large", found=report, front=tuple(points))]))
    page = browser.new_page()
    said = complaints(page)
    page.goto(path.as_uri())
    heading(page, "energy").click()
    assert page.locator("#tradeoff-table tbody tr").count() == 1002
    assert said == [f"request: {path.as_uri()}"]
    page.close()
