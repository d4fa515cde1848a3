"""Pairs that are looked at and left out, undo and redo, periods that are brushed, in a real browser."""

from __future__ import annotations

import re

import numpy as np
import pytest

from itslive_core import Glacier, open_cube
from itslive_core.demo import demo_path

pytestmark = pytest.mark.browser

_QUICK = "h=60&lambda=100&robust=0&outliers=none&noise=formal&offsets=none&smoothing_in_time=constant"
_BARS = """() => {
  const {start, end, value} = itsliveFigure('itslive-series').renderers
    .find((one) => one.name == 'bars L8_9').data_source.data
  return Array.from(value).map((_, i) => [(start[i] + end[i]) / 2, value[i]])
}"""
_BANDS = """() => itsliveFigure('itslive-series').center.concat(itsliveFigure('itslive-series').renderers)
  .filter((one) => (one.name ?? '').startsWith('itslive-period') && one.visible)
  .map((one) => [one.left, one.right])"""
_TITLE = """() => {
  const bar = itsliveFigure('itslive-glacier-map').right.find((one) => one.type == 'ColorBar')
  return bar == null ? '' : bar.title
}"""


def drawn(screen) -> bool:
    return any(value is not None and np.isfinite(value) for value in screen.curve())


def ready(screen) -> None:
    screen.wait(lambda: drawn(screen), usual=60, what="a curve")
    screen.wait(lambda: "Ready" in screen.text(".itslive-activity"), usual=60, what="all is done")
    screen.wait(lambda: "Season" in screen.text(".itslive-facts"), usual=60, what="nothing moves any more")


def test_a_pair_is_looked_at_left_out_and_brought_back(open_screen):
    screen = open_screen(f"?example=synthetic&{_QUICK}")
    ready(screen)
    page = screen.page
    low, high = screen.ranges("itslive-series")[2:]
    seen = [bar for bar in page.evaluate(_BARS) if 0.1 < (bar[1] - low) / (high - low) < 0.9]
    screen.click("itslive-series", *seen[len(seen) // 2])
    screen.wait(lambda: "Residual" in screen.text(".itslive-pair"), what="the card tells of the pair")
    screen.wait(lambda: re.search(r"LC0[89]_L1TP_", screen.text(".itslive-pair")), what="and of its images")
    assert page.locator(".itslive-pair a[href^='https://']").count() == 1
    before = screen.curve()
    assert page.locator(".itslive-undo button").is_disabled()

    page.locator(".itslive-leave-first button").click()
    screen.wait(lambda: "Left out by hand" in screen.text(".itslive-pair"), what="it is left out")
    screen.wait(lambda: "leave_out=" in page.url, what="the link tells of it")
    screen.wait(lambda: screen.curve() != before, what="the estimate is another one")
    screen.open_section("Data")
    screen.wait(lambda: "Left out by hand: 1" in screen.text(".itslive-left-out"), what="it is listed")
    page.locator(".itslive-code button").click()
    code = page.locator(".itslive-code-text textarea").first
    screen.wait(lambda: "leave_out=" in code.input_value(), what="the code tells of it")
    page.keyboard.press("Escape")
    page.locator(".itslive-code-dialog").wait_for(state="hidden")

    page.locator(".itslive-undo button").focus()
    page.keyboard.press("Control+z")
    screen.wait(lambda: screen.curve() == before, what="Ctrl+Z brings it back")
    screen.wait(lambda: "leave_out=" not in page.url, what="in the link, too")
    page.keyboard.press("Control+Shift+z")
    screen.wait(lambda: "leave_out=" in page.url, what="Ctrl+Shift+Z leaves it out again")
    page.locator(".itslive-take-back button").click()
    screen.wait(lambda: screen.curve() == before, what="so does the card")

    slider = page.locator(".itslive-lambda input[type=range]")
    slider.focus()
    slider.press("End")
    screen.wait(lambda: screen.curve() != before, what="lambda moves the curve")
    page.keyboard.press("Control+z")
    screen.wait(lambda: screen.curve() == before, what="undo moves the slider")
    screen.settle()
    assert page.locator(".itslive-redo button").is_enabled(), "what follows by itself is no step"
    page.locator(".itslive-redo button").click()
    screen.wait(lambda: screen.curve() != before, what="the button goes forth again")
    assert screen.errors == []


def test_periods_brushed_on_the_series_are_averaged_and_compared_on_the_map(open_screen):
    glacier = Glacier.list_from_file(demo_path().outlines)[0]
    cube = open_cube(demo_path().cubes[0])
    mask = glacier.contains(cube.x, cube.y, cube.crs)
    row, col = (int(one) for one in np.argwhere(mask)[mask.sum() // 2])
    screen = open_screen(f"?{_QUICK}")
    screen.select_glacier(glacier)
    screen.click("itslive-glacier-map", float(cube.x[col]), float(cube.y[row]))
    ready(screen)
    page = screen.page
    assert not page.get_by_role("button", name="Period", exact=True).is_visible()
    page.get_by_role("button", name="Invert glacier").click()
    screen.wait(
        lambda: "Done:" in screen.text(".itslive-activity"), usual=120, what="the glacier is estimated"
    )
    low, high = screen.ranges("itslive-series")[2:]
    axis = screen.ranges("itslive-series")[:2]

    def brush(kind: str, first: str, last: str) -> None:
        page.get_by_role("button", name=kind, exact=True).click()
        screen.settle()
        ends = [np.datetime64(one, "ms").astype(float) for one in (first, last)]
        screen.drag("itslive-series", *ends, low + 0.8 * (high - low))

    brush("Period", "2019-01-01", "2020-12-31")
    screen.wait(lambda: "Mean speed of the period" in page.evaluate(_TITLE), what="the mean is shown")
    brush("Against", "2015-01-01", "2016-12-31")
    screen.wait(lambda: "Change between the periods" in page.evaluate(_TITLE), what="the change is shown")
    assert re.search(r"less 201\d.*95 % interval", screen.text(".itslive-note"))
    screen.wait(lambda: len(page.evaluate(_BANDS)) == 2, what="both periods are marked")
    assert screen.ranges("itslive-series")[:2] == axis, "brushing moves no axis"
    assert screen.errors == []
