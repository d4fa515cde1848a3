"""A line drawn on the map with its picture of space and time, and a reference, in a real browser."""

from __future__ import annotations

import re

import numpy as np
import pytest

from itslive_core import Glacier, open_cube
from itslive_core.demo import demo_path

pytestmark = pytest.mark.browser

_LOCATIONS = """(name) => ['itslive-series', 'itslive-space-time'].map((figure) => {
  const span = itsliveFigure(figure).center.find((one) => one.name == name)
  return span.visible ? span.location : null
})"""
_HOVERED = """() => {
  const models = Array.from(Bokeh.documents[0]._all_models.values())
  return models.find((one) => one.name == 'itslive-hover-place').data.x.length
}"""


def test_a_line_is_drawn_and_its_picture_leads_to_time_place_front_and_file(open_screen):
    glacier = Glacier.list_from_file(demo_path().outlines)[0]
    cube = open_cube(demo_path().cubes[0])
    mask = glacier.contains(cube.x, cube.y, cube.crs)
    rows, columns = np.nonzero(mask)
    ends = [cube.pixel(int(rows[k]), int(columns[k])) for k in (columns.argmin(), len(columns) // 2)]

    screen = open_screen("?h=60&lambda=100&robust=0&outliers=none")
    screen.select_glacier(glacier)
    screen.page.get_by_role("tab", name="Space-time").click()
    screen.page.get_by_role("button", name="Draw a line").click()
    screen.wait(lambda: "0 vertices" in screen.text(".itslive-status"), what="it says what to do")
    for number, end in enumerate(ends, start=1):
        screen.click("itslive-glacier-map", end.x, end.y)
        screen.wait(lambda n=number: f"{n} vert" in screen.text(".itslive-status"), what="a vertex")
    screen.page.get_by_role("button", name="Finish").click()
    screen.wait(
        lambda: re.search(r"points, every \d+ m", screen.text(".itslive-status")), usual=90, what="a profile"
    )
    assert "Drawn 1" in screen.text(".itslive-line")
    assert "below the noise" in screen.text(".itslive-status")

    moment = float(np.datetime64("2018-07-01", "ms").astype(float))
    long = np.hypot(ends[1].x - ends[0].x, ends[1].y - ends[0].y)  # the centreline shown before is longer
    screen.wait(lambda: abs(screen.ranges("itslive-space-time")[3] - long) < 200, what="the axes fit")
    near, far = screen.ranges("itslive-space-time")[2:]
    middle = 0.5 * (near + far)
    screen.click("itslive-space-time", moment, middle)  # the pointer stays there
    screen.wait(
        lambda: all(
            one is not None and abs(one - moment) < 60 * 86.4e6
            for one in screen.page.evaluate(_LOCATIONS, "itslive-time")
        ),
        what="both panels mark the time",
    )
    screen.wait(
        lambda: screen.page.evaluate(_LOCATIONS, "itslive-hover-time")[0] is not None,
        what="the pointer, in the series",
    )
    assert screen.page.evaluate(_HOVERED) == 1, "and on the map"
    screen.wait(lambda: any(np.isfinite(one) for one in profile(screen)), what="the profile at that time")

    screen.page.get_by_role("button", name="Front").click()
    screen.wait(lambda: "Click the front" in screen.text(".itslive-status"), what="it asks for two clicks")
    screen.click("itslive-space-time", moment, near + 0.3 * (far - near))
    screen.wait(lambda: "another time" in screen.text(".itslive-status"), what="the first click")
    screen.click("itslive-space-time", moment + 700 * 86.4e6, near + 0.7 * (far - near))
    screen.wait(
        lambda: re.search(r"Front: [\d,]+ ± [\d,]+ m/yr", screen.text(".itslive-status")), what="its speed"
    )
    with screen.page.expect_download() as download:
        screen.page.locator(".itslive-profile-nc button, .itslive-profile-nc a").first.click()
    assert download.value.suggested_filename == "profile.nc"
    assert screen.errors == []


def profile(screen) -> list[float]:
    columns = screen.page.evaluate(
        """() => itsliveFigure('itslive-profile').renderers.filter((one) => one.glyph.type == 'Line')
             .map((one) => Array.from(one.data_source.data[one.glyph.x.field]))"""
    )
    return [value for values in columns for value in values if isinstance(value, (int, float))]


def test_a_reference_lies_over_the_series_with_its_statistics(open_screen, tmp_path):
    glacier = Glacier.list_from_file(demo_path().outlines)[0]
    cube = open_cube(demo_path().cubes[0])
    row, column = np.argwhere(glacier.contains(cube.x, cube.y, cube.crs))[40]
    pixel = cube.pixel(int(row), int(column))
    rows = [f"{year}-01-01,{year}-07-01,{900 + year}" for year in range(2015, 2022)]
    table = "\n".join(["start,end,v [m/yr]", *rows])
    (tmp_path / "gnss.csv").write_text(table)

    screen = open_screen(f"?h=60&lambda=100&robust=0&outliers=none&lat={pixel.lat}&lon={pixel.lon}")
    screen.wait(lambda: len(screen.curve()) > 1, usual=60, what="a series")
    field = screen.page.locator(".itslive-upload-reference")
    field.locator("input[type=file]").set_input_files(tmp_path / "gnss.csv")
    screen.wait(lambda: "RMSE" in screen.text(".itslive-reference-words"), usual=60, what="statistics")
    words = screen.text(".itslive-reference-words")
    assert "gnss.csv" in words
    assert re.search(r"Windows\s*7", words), words
    assert re.search(r"MAE\s*[\d,.]+ m/yr", words), words
    drawn = screen.page.evaluate(
        """() => itsliveFigure('itslive-series').renderers.find((one) => one.name == 'itslive-reference')
             .data_source.data['value'].length"""
    )
    assert drawn == 7
    screen.wait(lambda: screen.has_figure("itslive-windows"), what="the scatter")
    screen.page.get_by_role("button", name="Remove the reference").click()
    screen.wait(lambda: not screen.page.locator(".itslive-reference-words").is_visible(), what="it is gone")
    assert screen.errors == []
