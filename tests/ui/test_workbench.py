"""The first picture, the search box, the theme and the time cursor, in a real browser."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support import Screen

from itslive_core import Glacier, open_cube
from itslive_core.demo import demo_path
from tests.waiting import milliseconds

pytestmark = pytest.mark.browser

_CURSOR = """() => {
  const span = itsliveFigure('itslive-series').center.find((one) => one.name == 'itslive-time')
  return span.visible ? span.location : null
}"""
_TITLE = """() => {
  const bar = itsliveFigure('itslive-glacier-map').right.find((one) => one.type == 'ColorBar')
  return bar == null ? '' : bar.title
}"""


@pytest.fixture(scope="module")
def glacier():
    return Glacier.list_from_file(demo_path().outlines)[0]


@pytest.fixture(scope="module")
def place(glacier):
    """A pixel of the glacier: x and y in its cube's coordinates, longitude and latitude."""
    cube = open_cube(demo_path().cubes[0])
    mask = glacier.contains(cube.x, cube.y, cube.crs)
    row, col = (int(one) for one in np.argwhere(mask)[mask.sum() // 2])
    return cube.pixel(row, col)


def drawn(screen) -> bool:
    return any(value is not None and np.isfinite(value) for value in screen.curve())


def test_the_first_picture_is_the_curve_of_a_real_glacier(open_screen):
    screen = open_screen("?example=parlung")
    screen.wait(lambda: drawn(screen), usual=60, what="a curve, without a click")
    assert "Real data" in screen.text(".itslive-source")
    assert "RGI2000-v7.0-G-15-16257" in screen.text(".itslive-title")
    screen.wait(lambda: "Season" in screen.text(".itslive-facts"), usual=60, what="the headline")
    facts = screen.text(".itslive-facts")
    assert re.search(r"Mean\s*[\d.]+ ± [\d.]+ m/yr", facts), facts
    assert re.search(r"Observed\s*\d+ % of \d{4}–\d{4}", facts), facts
    assert screen.errors == []
    assert screen.foreign == []


def test_the_search_box_takes_degrees_and_minutes_keeps_what_was_typed_and_asks_back(screen, place):
    box = screen.page.locator(".itslive-search input")
    screen.fill(".itslive-search", "Batoro")
    screen.wait(lambda: "Did you mean Baltoro Glacier?" in screen.message(), what="it asks back")
    assert "<" not in screen.message()
    assert box.input_value() == "Batoro"
    minutes = [divmod(abs(one), 1) for one in (place.lat, place.lon)]
    typed = (
        f"N {minutes[0][0]:.0f}° {60 * minutes[0][1]:.4f}′, W {minutes[1][0]:.0f}° {60 * minutes[1][1]:.4f}′"
    )
    screen.fill(".itslive-search", typed)
    screen.wait(lambda: drawn(screen), what="the series of the position is drawn")
    assert screen.message() == "", "what was told before is gone"
    assert box.input_value() == typed
    assert screen.errors == []


def test_the_theme_is_that_of_the_system_until_one_is_chosen_and_then_kept(browser, server):
    context = browser.new_context(color_scheme="dark")
    context.set_default_timeout(milliseconds(60))
    screen = Screen(context.new_page(), server + "?example=synthetic&begin=map")
    screen.ready()

    def dark() -> bool:
        return screen.page.evaluate(
            """() => Array.from(Bokeh.documents[0]._all_models.values())
                 .find((one) => one.class_name == 'Page').data.dark_theme"""
        )

    screen.wait(dark, what="dark, as the system is")
    screen.page.get_by_label("Toggle theme").click()
    screen.wait(lambda: not dark(), what="light, as was chosen")
    screen.ready()
    assert not dark(), "and it is kept"
    assert screen.errors == []
    context.close()


def test_a_click_on_the_series_marks_a_time_that_the_map_follows(open_screen, glacier, place):
    screen = open_screen("?h=60&lambda=100&robust=0&outliers=none")
    screen.select_glacier(glacier)
    screen.click("itslive-glacier-map", place.x, place.y)
    screen.wait(lambda: drawn(screen), what="a curve")
    screen.wait(lambda: "Ready" in screen.text(".itslive-activity"), usual=60, what="the glacier is read")
    screen.page.get_by_role("button", name="Invert glacier").click()
    screen.wait(
        lambda: re.search(r"Done: [\d,]+ pixels in \d+:\d\d", screen.text(".itslive-activity")),
        usual=120,
        what="it says what is done",
    )
    assert screen.page.evaluate(_CURSOR) is None, "the mean shows no time"
    moment = np.datetime64("2018-07-01", "ms").astype(float)
    low, high = screen.ranges("itslive-series")[2:]
    screen.click("itslive-series", moment, 0.5 * (low + high))
    screen.wait(lambda: "Speed, 2018-0" in screen.page.evaluate(_TITLE), what="the map shows that time")
    screen.wait(lambda: screen.page.evaluate(_CURSOR) is not None, what="and the series marks it")
    marked = screen.page.evaluate(_CURSOR)
    assert abs(marked - moment) < 31 * 86.4e6
    assert "Date: 2018-0" in screen.text(".itslive-date")
    assert screen.errors == []
