"""The Diagnostics tab and points side by side, in a real browser, on the demo."""

from __future__ import annotations

import re

import numpy as np
import pytest

from itslive_core import Glacier, open_cube
from itslive_core.demo import demo_path

pytestmark = pytest.mark.browser

SERIES = "itslive-diagnosis-series"
FIGURES = (SERIES, "itslive-criterion", "itslive-strip", "itslive-residuals")


@pytest.fixture(scope="module")
def glacier():
    return Glacier.list_from_file(demo_path().outlines)[0]


@pytest.fixture(scope="module")
def places(glacier):
    """Three pixels of the glacier in its cube's coordinates."""
    cube = open_cube(demo_path().cubes[0])
    pixels = np.argwhere(glacier.contains(cube.x, cube.y, cube.crs))
    chosen = pixels[np.linspace(0, len(pixels) - 1, 5).astype(int)[1:-1]]
    return [(float(cube.x[col]), float(cube.y[row])) for row, col in chosen]


def is_drawn(curve) -> bool:
    return any(value is not None and np.isfinite(value) for value in curve)


def show_series(screen, glacier, place) -> None:
    screen.select_glacier(glacier)
    screen.click("itslive-glacier-map", *place)
    screen.wait(lambda: is_drawn(screen.curve()), what="a curve is drawn")


def open_diagnostics(screen) -> None:
    screen.page.get_by_role("tab", name="Diagnostics").click()
    screen.wait(lambda: screen.text(".itslive-funnel-pane").strip(), what="the steps are listed")
    for name in FIGURES:
        screen.wait(lambda n=name: screen.has_figure(n), what=name)
    screen.wait(lambda: is_drawn(screen.curve(SERIES)), what="the series in the tab")


def test_without_a_point_the_tab_says_what_to_do(screen):
    screen.page.get_by_role("tab", name="Diagnostics").click()
    hint = screen.page.locator(".itslive-diagnosis .itslive-hint-pane")
    hint.get_by_text("Click a pixel of a glacier").wait_for()
    assert screen.errors == []


def test_the_tab_explains_the_clicked_point_and_follows_the_next(screen, glacier, places):
    show_series(screen, glacier, places[0])
    open_diagnostics(screen)
    assert screen.page.locator(".itslive-diagnosis .itslive-hint-pane").is_hidden()
    rows = screen.page.locator(".itslive-table tbody tr")
    assert rows.count() >= 3
    used = sum(int(row.split("\t")[1].replace(",", "")) for row in rows.all_inner_texts())
    said = re.search(r"([\d,]+) of [\d,]+ image pairs used", screen.text(".itslive-summary"))
    assert said is not None
    assert used == int(said[1].replace(",", ""))
    table = screen.page.locator(".itslive-table").inner_text()
    screen.click("itslive-glacier-map", *places[1])
    screen.wait(lambda: screen.page.locator(".itslive-table").inner_text() != table, what="the next point")
    screen.page.get_by_role("tab", name="Series").click()
    screen.wait(lambda: not screen.page.locator(".itslive-diagnosis").is_visible(), what="the series is back")
    assert is_drawn(screen.curve())
    assert screen.errors == []


def test_dragging_the_marker_moves_lambda_and_the_curve(screen, glacier, places):
    show_series(screen, glacier, places[0])
    open_diagnostics(screen)

    def slider() -> str:
        return screen.text(".itslive-lambda")

    screen.wait(
        lambda: "(from the data)" in slider() and 1 < screen.marker()["smoothing"] < 1e6,
        what="lambda is chosen",
    )
    screen.settle()
    start, before = screen.marker(), screen.curve(SERIES)
    mouse = screen.page.mouse
    mouse.move(start["x"], start["y"])
    mouse.down()
    for step in range(1, 9):
        mouse.move(start["x"] + 10 * step, start["y"])
    screen.wait(lambda: screen.curve(SERIES) != before, what="the curve follows while the marker is held")
    mouse.up()
    screen.wait(lambda: "(from the data)" not in slider(), what="no longer automatic")
    assert not screen.page.locator(".itslive-auto input").is_checked()
    assert screen.marker()["smoothing"] > 3 * start["smoothing"]
    smoothing = float(f"{screen.marker()['smoothing']:.3g}")
    value = f"{smoothing:,.10g}"
    screen.wait(lambda: value in slider(), what="the slider says the same lambda")
    screen.page.locator(".itslive-criterion-auto button").click()
    screen.wait(lambda: screen.page.locator(".itslive-auto input").is_checked(), what="automatic again")
    screen.wait(
        lambda: screen.marker()["smoothing"] == pytest.approx(start["smoothing"], rel=0.02),
        what="the marker is back",
    )
    screen.wait(lambda: np.allclose(*curves(screen, before), equal_nan=True), what="and so is the curve")
    assert screen.errors == []


def curves(screen, before) -> tuple[np.ndarray, np.ndarray]:
    return np.array(screen.curve(SERIES), dtype=float), np.array(before, dtype=float)


def test_rejected_pairs_are_crossed_out_on_demand(screen, glacier, places):
    show_series(screen, glacier, places[0])

    def crosses() -> int:
        return screen.page.evaluate(
            """() => {
              const marks = itsliveFigure('itslive-series').renderers.find((r) => r.glyph.type == 'Scatter')
              return (marks.data_source.data.step ?? []).length
            }"""
        )

    assert crosses() == 0
    box = screen.page.locator(".itslive-crosses input")
    box.click()
    screen.wait(lambda: crosses() > 0, what="crosses appear")
    box.click()
    screen.wait(lambda: crosses() == 0, what="and go")
    assert screen.errors == []


def test_points_stand_side_by_side_with_one_time_axis(screen, glacier, places):
    show_series(screen, glacier, places[0])
    listed = screen.page.locator(".itslive-remove-point")
    screen.wait(lambda: listed.count() == 1, what="the point is listed")
    screen.page.locator(".itslive-compare input").click()  # the click below must not overtake it
    screen.click("itslive-glacier-map", *places[1])
    screen.wait(lambda: listed.count() == 2, what="both are listed")
    side = screen.page.get_by_role("button", name="Side by side")
    side.click()
    names = ["itslive-series-1", "itslive-series-2"]
    for name in names:
        screen.wait(lambda n=name: screen.has_figure(n) and is_drawn(screen.curve(n)), what=name)
    first, second = (screen.ranges(name)[:2] for name in names)
    assert first == second
    assert 0 < first[0] < first[1] - 2e11
    moved = [first[0] + 1e11, first[1] - 1e11]
    screen.page.evaluate(
        "([name, start, end]) => itsliveFigure(name).x_range.setv({start, end})", [names[0], *moved]
    )
    assert screen.ranges(names[1])[:2] == moved
    screen.page.get_by_role("button", name="Overlay").click()
    screen.wait(
        lambda: not screen.page.locator(".itslive-small").first.is_visible(), what="the overlay is back"
    )
    assert screen.errors == []
