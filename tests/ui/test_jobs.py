"""The estimate of a whole glacier in the browser: started, stopped, found again, resumed, fetched."""

from __future__ import annotations

import re

import pytest
import rasterio
import xarray as xr
from support import Screen
from zarr.storage import ZipStore

from itslive_core import Glacier
from itslive_core.demo import demo_path
from tests.waiting import milliseconds

pytestmark = pytest.mark.browser

QUICK = "?example=synthetic&begin=map&h=60&noise=formal&offsets=none&smoothing_in_time=constant"
FILLED = """() => {
  const figure = itsliveFigure('itslive-glacier-map')
  if (figure == null) { return 0 }  // it is drawn once the page is up
  const image = figure.renderers.find((one) => one.glyph.type == 'Image')
  const values = image.data_source.data.image[0]
  return Array.from(values.array ?? values).filter(Number.isFinite).length
}"""


@pytest.fixture
def visit(browser, home_server):
    """Open a page in a browser of its own."""
    contexts = []

    def make(query: str) -> Screen:
        context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
        context.set_default_timeout(milliseconds(30))
        contexts.append(context)
        screen = Screen(context.new_page(), home_server.url + query)
        screen.page.goto(screen.url)
        return screen

    yield make
    for context in contexts:
        context.close()


def says(screen, pattern: str) -> bool:
    return re.search(pattern, screen.text(".itslive-job")) is not None


def test_a_glacier_is_found_again_resumed_and_fetched(visit, home_server, tmp_path):
    glacier = max(Glacier.list_from_file(demo_path().outlines), key=lambda one: one.area_km2 or 0)
    first = visit(QUICK)
    first.ready()
    first.select_glacier(glacier)
    first.wait(lambda: says(first, r"[\d,]+ pixels, [\d,]+ time cells, .* MB; "), what="size and time")
    first.page.get_by_role("button", name="Invert glacier").click()
    first.wait(lambda: "job=" in first.page.url, what="the address holds the job")
    first.wait(lambda: says(first, r"Running: [1-9][\d,]* of"), usual=90, what="pixels are counted")
    first.page.get_by_role("button", name="Stop", exact=True).first.click()
    first.wait(lambda: says(first, r"Stopped at \d+ %"), what="it stops")
    link = "?" + first.page.url.split("?", 1)[1]
    before = first.page.evaluate(FILLED)
    assert before > 0

    assert home_server.stop() == 0
    home_server.start()
    second = visit(link)
    second.wait(lambda: says(second, r"Stopped at \d+ %"), usual=90, what="it is found again")
    second.wait(lambda: second.page.evaluate(FILLED) >= before, what="what is finished is on the map")
    second.page.get_by_role("button", name="Resume").first.click()
    second.wait(lambda: says(second, r"Done: [\d,]+ pixels"), usual=120, what="the rest is estimated")
    second.wait(lambda: second.page.evaluate(FILLED) > before, what="it is on the map")
    count = int(re.search(r"Done: ([\d,]+)", second.text(".itslive-job"))[1].replace(",", ""))

    files = {}
    for label in ("Zarr", "NetCDF", "GeoTIFF"):
        with second.page.expect_download() as waiting:
            second.page.locator(".itslive-files").get_by_text(label, exact=True).click()
        files[label] = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(files[label])
    with ZipStore(files["Zarr"], mode="r") as packed:
        area = xr.open_zarr(packed)[["v", "n_pairs_used"]].load()
    assert 0.5 * count < int((area["n_pairs_used"] > 0).sum()) <= count
    with xr.open_dataset(files["NetCDF"]) as other:
        xr.testing.assert_equal(other["v"], area["v"])
    with rasterio.open(files["GeoTIFF"]) as raster:
        assert raster.count == area.sizes["time"]

    second.open_section("Results")
    listed = second.page.locator(".itslive-result")
    second.wait(lambda: listed.count() == 1, what="the job is listed")
    second.page.locator(".itslive-result-delete button").click()
    second.wait(lambda: listed.count() == 0, what="it is deleted")
    second.wait(lambda: "job=" not in second.page.url, what="the address forgets it")
    assert second.errors == []
    gone = visit(link)
    gone.wait(lambda: "There is no such result here" in gone.message(), usual=60, what="it is gone")
