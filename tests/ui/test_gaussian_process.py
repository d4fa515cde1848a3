"""The Gaussian process in a real browser, on the demo: method, streaming, parts, sentences, links, files."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from itslive_core import Glacier, open_cube
from itslive_core.demo import demo_path

pytestmark = pytest.mark.browser

PARTS = ("itslive-trend", "itslive-season", "itslive-roughness")


@pytest.fixture(scope="module")
def glacier():
    return Glacier.list_from_file(demo_path().outlines)[0]


@pytest.fixture(scope="module")
def place(glacier):
    """A pixel of the glacier in its cube's coordinates."""
    cube = open_cube(demo_path().cubes[0])
    mask = glacier.contains(cube.x, cube.y, cube.crs)
    row, col = np.argwhere(mask)[mask.sum() // 2]
    return float(cube.x[col]), float(cube.y[row])


def numbers(screen, layer: str, figure: str = "itslive-series") -> np.ndarray:
    """Give the values of a line, NaN in gaps."""
    values = screen.page.evaluate(
        """([name, layer]) => {
          const figure = itsliveFigure(name)
          const line = figure == null ? null : figure.renderers.find((one) => one.name == layer)
          return line == null ? [] : Array.from(line.data_source.data.value || [])
            .map((one) => Number.isFinite(one) ? one : null)
        }""",
        [figure, layer],
    )
    return np.array(values, dtype=float)


def is_drawn(screen, layer: str = "curve", figure: str = "itslive-series") -> bool:
    return bool(np.isfinite(numbers(screen, layer, figure)).any())


def choose(screen, method: str) -> None:
    screen.page.get_by_role("button", name=method, exact=True).click()


def wait_refined(screen) -> None:
    screen.wait(
        lambda: "…" not in (text := screen.text(".itslive-summary")) and "used" in text, what="refined"
    )


def test_from_the_first_pass_to_parts_sentences_and_files(screen, glacier, place, tmp_path):
    screen.page.get_by_role("tab", name="Decomposition").click()
    screen.page.get_by_text("No decomposition yet").wait_for()
    screen.page.get_by_role("tab", name="Series").click()
    screen.select_glacier(glacier)
    choose(screen, "Gaussian process")
    screen.wait(lambda: not screen.page.locator(".itslive-lambda").is_visible(), what="lambda is hidden")
    assert screen.page.locator(".itslive-interval").is_visible()
    screen.click("itslive-glacier-map", *place)
    screen.wait(lambda: is_drawn(screen), what="a curve is drawn")
    low, high = screen.ranges("itslive-series")[2:]
    wait_refined(screen)
    filled = np.isfinite(numbers(screen, "curve")) | np.isfinite(numbers(screen, "gap"))
    assert filled.all(), "gaps are filled"
    assert np.isnan(numbers(screen, "curve")).any(), "and marked"
    assert screen.ranges("itslive-series")[2:] == [low, high], "refining moves no axis"

    screen.page.get_by_role("tab", name="Decomposition").click()
    for name in PARTS:
        screen.wait(lambda n=name: screen.has_figure(n) and is_drawn(screen, "curve", n), what=name)
    assert len({tuple(screen.ranges(name)[:2]) for name in PARTS}) == 1
    first = screen.ranges(PARTS[0])[:2]
    moved = [first[0] + 1e11, first[1] - 1e11]
    screen.page.evaluate(
        "([name, start, end]) => itsliveFigure(name).x_range.setv({start, end})", [PARTS[0], *moved]
    )
    assert screen.ranges(PARTS[2])[:2] == moved
    words = screen.page.locator(".itslive-findings").inner_text()
    assert "its shape changes over about" in words
    assert "Pairs of Sentinel-2 are" in words

    with screen.page.expect_download() as waiting:
        screen.page.locator(".itslive-download-nc button, .itslive-download-nc a").first.click()
    assert waiting.value.suggested_filename.startswith("gaussian_process_")
    waiting.value.save_as(tmp_path / "series.nc")
    with xr.open_dataset(tmp_path / "series.nc") as series:
        assert {"trend", "season", "roughness"} <= set(series)
        assert series.attrs["refined"] == 1
    assert screen.errors == []


def test_both_methods_and_a_link_that_leads_back(open_screen, glacier, place):
    first = open_screen()
    first.select_glacier(glacier)
    first.click("itslive-glacier-map", *place)
    first.wait(lambda: is_drawn(first), what="the inversion is drawn")
    inversion = numbers(first, "curve")
    assert not is_drawn(first, "second")
    choose(first, "Both")
    first.wait(lambda: is_drawn(first, "second"), what="the Gaussian process is drawn beside it")
    assert np.array_equal(numbers(first, "curve"), inversion, equal_nan=True)
    styles = first.page.evaluate(
        """() => itsliveFigure("itslive-series").above.find((one) => one.name == "itslive-lines").visible"""
    )
    assert styles is True
    first.page.locator(".itslive-kernel-season input").click()
    first.wait(lambda: "kernel=trend,offsets" in first.page.url, what="the address follows")
    first.wait(lambda: first.page.locator(".itslive-harmonics").is_hidden(), what="no harmonics")
    wait_refined(first)
    first.page.keyboard.down("Shift")
    first.click("itslive-glacier-map", place[0] + 360.0, place[1])
    first.page.keyboard.up("Shift")
    first.wait(lambda: "points=" in first.page.url, what="the address holds both points")
    first.page.get_by_role("button", name="vx", exact=True).click()
    first.wait(lambda: "component=vx" in first.page.url, what="and what is shown")
    wait_refined(first)
    first.page.locator(".itslive-share button").click()
    first.wait(lambda: "is copied" in first.message(), what="the link is copied")
    assert first.errors == []

    second = open_screen("?" + first.page.url.split("?", 1)[1])
    second.wait(lambda: is_drawn(second, "second"), what="both are drawn")
    second.wait(lambda: "points=" in second.page.url, what="for both points")
    wait_refined(second)
    assert not second.page.locator(".itslive-kernel-season input").is_checked()
    assert second.page.locator(".itslive-kernel-trend input").is_checked()
    for layer in ("curve", "second"):
        second.wait(
            lambda one=layer: np.array_equal(numbers(second, one), numbers(first, one), equal_nan=True),
            what="the same curves to the last digit",
        )
    choose(second, "Inversion")
    second.wait(lambda: not is_drawn(second, "second"), what="the Gaussian process goes")
    second.wait(lambda: "method=" not in second.page.url, what="and leaves the address")
    assert second.errors == []
