"""The way from a click to a series, in a real browser, on the demo."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from itslive_core import Glacier, open_cube
from itslive_core.demo import demo_path
from tests.waiting import seconds

pytestmark = pytest.mark.browser


@pytest.fixture(scope="session")
def glaciers():
    return Glacier.list_from_file(demo_path().outlines)


@pytest.fixture(scope="session")
def place(glaciers):
    """A pixel of the first glacier in its cube's coordinates."""
    cube = open_cube(demo_path().cubes[0])
    mask = glaciers[0].contains(cube.x, cube.y, cube.crs)
    row, col = np.argwhere(mask)[mask.sum() // 2]
    return float(cube.x[col]), float(cube.y[row])


def drawn(screen) -> bool:
    return any(value is not None and np.isfinite(value) for value in screen.curve())


def show_series(screen, glacier, place) -> list[float]:
    screen.select_glacier(glacier)
    screen.click("itslive-glacier-map", *place)
    screen.wait(lambda: drawn(screen), what="a curve is drawn")
    return screen.curve()


def test_page_loads_quietly_and_without_the_internet(screen):
    assert "Click a glacier on the map to begin" in screen.text(".itslive-hint-pane")
    assert screen.errors == []
    assert screen.foreign == []


def test_click_zooms_into_the_glacier_and_keeps_proportions(screen, glaciers):
    before = screen.ranges("itslive-world-map")
    screen.select_glacier(glaciers[1])
    screen.wait(lambda: screen.ranges("itslive-world-map") != before, what="the world map zooms")
    west, east, south, north = screen.ranges("itslive-world-map")
    size = screen.page.evaluate(
        "() => {const f = itsliveFigure('itslive-world-map'); return [f.inner_width, f.inner_height]}"
    )
    assert east - west < before[1] - before[0]
    assert (east - west) / size[0] == pytest.approx((north - south) / size[1], rel=0.02)
    assert screen.errors == []


def test_click_draws_a_curve_that_follows_lambda(screen, glaciers, place):
    first = show_series(screen, glaciers[0], place)
    used = re.compile(r"[\d,]+ of [\d,]+ image pairs used")
    screen.wait(lambda: used.search(screen.text(".itslive-summary")), what="says what was used")
    screen.page.locator(".itslive-auto input").click()
    slider = screen.page.locator(".itslive-lambda input[type=range]")
    slider.focus()
    slider.press("End")
    screen.wait(lambda: screen.curve() != first, what="the curve moves")
    assert len(screen.curve()) == len(first)
    assert screen.errors == []
    screen.wait(lambda: "lambda=" in screen.page.url, what="the address follows")


def test_component_and_filters(screen, glaciers, place):
    speed = show_series(screen, glaciers[0], place)
    screen.page.get_by_role("button", name="vx", exact=True).click()
    screen.wait(lambda: screen.curve() != speed, what="vx is shown")
    screen.open_section("Data")
    for name in ("Sentinel-1", "Sentinel-2", "Landsat 4/5", "Landsat 7", "Landsat 8/9"):
        screen.page.get_by_label(re.compile(f"^{name}")).click()
    screen.wait(
        lambda: "All pairs were filtered out: 0 of" in screen.text(".itslive-summary"),
        what="says what is left",
    )
    assert not drawn(screen)
    screen.page.get_by_role("button", name="Use all pairs").click()
    screen.wait(lambda: drawn(screen), what="the curve is back")
    assert screen.errors == []


def test_glacier_is_inverted_live_and_can_be_stopped(open_screen, glaciers):
    screen = open_screen("?h=60&noise=formal&offsets=none&smoothing_in_time=constant")
    screen.select_glacier(glaciers[0])
    screen.wait(lambda: "Ready" in screen.text(".itslive-activity"), what="the overview is read")
    invert = screen.page.get_by_role("button", name="Invert glacier")
    invert.click()
    stop = screen.page.get_by_role("button", name="Stop")
    stop.wait_for()
    progress = re.compile(r"\d+ % · \d+:\d+ left")
    screen.wait(lambda: progress.search(screen.text(".itslive-activity")), what="progress")
    stop.click()
    screen.wait(
        lambda: re.search("Stopping|Stopped", screen.text(".itslive-activity, .itslive-stop")),
        what="the click is acknowledged",
    )
    screen.wait(lambda: not stop.is_visible(), what="it stops")
    screen.wait(lambda: "Stopped:" in screen.text(".itslive-activity"), what="it says where it stopped")
    invert.click()
    stop.wait_for()
    screen.wait(lambda: not stop.is_visible(), usual=120, what="it ends")
    filled = screen.page.evaluate(
        """() => {
          const figure = itsliveFigure('itslive-glacier-map')
          const image = figure.renderers.find((one) => one.glyph.type == 'Image')
          const values = image.data_source.data.image[0]
          return Array.from(values.array ?? values)
            .filter(Number.isFinite).length
        }"""
    )
    assert filled > 500
    assert screen.errors == []


BAD_INPUTS = {
    "missing cube": (".itslive-cube", "/nowhere/cube.zarr", "nowhere"),
    "not a cube": (".itslive-cube", __file__, "test_app.py"),
    "missing outlines": (".itslive-outlines-path", "/nowhere/outlines.gpkg", "nowhere"),
    "not outlines": (".itslive-outlines-path", __file__, "test_app.py"),
    "no such place": (".itslive-search", "95, 100", "95, 100"),
    "no data there": (".itslive-search", "0, -30", "no"),
    "unknown name": (".itslive-search", "Nosuchglacier", "Nosuchglacier"),
}


def test_bad_input_gets_a_message_and_the_app_stays_alive(screen, glaciers, place):
    screen.open_section("Open")
    for what, (field, value, expected) in BAD_INPUTS.items():
        before = screen.message()
        screen.fill(field, value)
        screen.wait(
            lambda b=before, e=expected: (
                screen.message() not in {"", b} and e.lower() in screen.message().lower()
            ),
            usual=60,
            what=what,
        )
        assert "Traceback" not in screen.message()
        assert "unexpected" not in screen.message(), screen.message()
    show_series(screen, glaciers[0], place)
    assert screen.errors == []


def test_downloads_are_valid_files_and_code_makes_them(screen, glaciers, place, tmp_path):
    values = show_series(screen, glaciers[0], place)
    for suffix, label in (("csv", "CSV"), ("nc", "NetCDF")):
        with screen.page.expect_download() as waiting:
            screen.page.locator(
                f".itslive-download-{suffix} button, .itslive-download-{suffix} a"
            ).first.click()
        path = tmp_path / f"series.{suffix}"
        waiting.value.save_as(path)
        if suffix == "csv":
            table = pd.read_csv(path)
            assert list(table.columns[:4]) == ["time", "time_start", "time_end", "vx [m/yr]"]
            assert len(table) == len(values), label
        else:
            with xr.open_dataset(path) as series:
                assert series["v"].attrs["units"]
                assert series.sizes["time"] == len(values), label
    screen.page.get_by_role("button", name="Code").click()
    area = screen.page.locator(".itslive-code-text textarea").first
    screen.wait(lambda: "write_series" in area.input_value(), what="the program is shown")
    program = tmp_path / "program.py"
    program.write_text(area.input_value().replace("series.csv", "again.csv"))
    subprocess.run([sys.executable, str(program)], cwd=tmp_path, check=True, timeout=seconds(120))
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "series.csv").read_bytes()
    with screen.page.expect_download() as waiting:
        screen.page.locator(".itslive-code-notebook button, .itslive-code-notebook a").first.click()
    assert waiting.value.suggested_filename.endswith(".ipynb")
    screen.page.get_by_role("button", name="Shell", exact=True).click()
    screen.wait(lambda: area.input_value().startswith("itslive invert "), what="the line of the shell")
    assert screen.errors == []


def test_a_tip_leaves_the_button_below_it_free(screen, glaciers, place):
    show_series(screen, glaciers[0], place)
    screen.page.locator(".itslive-download-nc button, .itslive-download-nc a").first.hover()
    screen.page.locator("[role=tooltip]").wait_for()
    with screen.page.expect_download() as waiting:
        screen.page.locator(".itslive-download-csv button, .itslive-download-csv a").first.click()
    assert waiting.value.suggested_filename.endswith(".csv")


def test_points_are_kept_to_compare_and_can_be_removed(screen, busy, glaciers, place):
    show_series(screen, glaciers[0], place)
    screen.wait(lambda: screen.page.locator(".itslive-remove-point").count() == 1, what="the point is listed")
    with busy():  # a busy server finds both at once: the click must not overtake the switch
        screen.page.locator(".itslive-compare input").click()
        screen.click("itslive-glacier-map", place[0] + 600.0, place[1])
        screen.settle()
    screen.wait(lambda: screen.page.locator(".itslive-remove-point").count() == 2, what="both are listed")
    screen.page.locator(".itslive-remove-point button").first.click()
    screen.wait(lambda: screen.page.locator(".itslive-remove-point").count() == 1, what="one is left")
    assert drawn(screen)
    assert screen.errors == []


def test_two_sessions_are_independent(open_screen, glaciers, place):
    one, two = open_screen(), open_screen()
    show_series(one, glaciers[0], place)
    one.page.locator(".itslive-auto input").click()
    assert not drawn(two)
    assert two.page.locator(".itslive-auto input").is_checked()
    assert "Click a glacier on the map to begin" in two.text(".itslive-hint-pane")


def test_link_leads_back_to_the_series(open_screen, glaciers, place):
    first = open_screen()
    show_series(first, glaciers[0], place)
    first.wait(lambda: "lon=" in first.page.url, what="the address holds the point")
    query = "?" + first.page.url.split("?", 1)[1]
    second = open_screen(query.replace("lambda=auto", "lambda=1000") + "&h=24&robust=0&k=7")
    second.wait(lambda: drawn(second), what="the series of the link is drawn")
    assert "1,000" in second.text(".itslive-lambda")


def test_an_upload_is_read(screen):
    screen.open_section("Open")
    file = {"name": "own.geojson", "mimeType": "application/json", "buffer": b"42"}
    screen.page.locator(".itslive-upload input[type=file]").set_input_files(file)
    screen.wait(lambda: "some other JSON" in screen.message(), what="what is wrong with the file is said")
