"""How long a person waits, measured in a real browser.

    python benchmarks/app_latency.py                                    the demo
    python benchmarks/app_latency.py --cube CUBE --outlines FILE        another cube

Starts a server of its own, warms it with one page, and measures in a second one:

page      from asking for the page to the demo or cube being on the map and the page idle
click     from a click on a pixel (its block is cached) to the paint after its curve arrived
lambda    from moving the slider to the paint after the new curve arrived
gp        from a click to the paint of the first pass of the Gaussian process, that method chosen
refined   the same for the refined result

"Drawn" is noted inside the page: the change of the curve's data source, then the second animation frame after
it. The clock starts inside the page too, when the event reaches it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

WATCH = """
window.itsliveFigure = (name) => {
  for (const doc of Bokeh.documents) {
    for (const model of doc._all_models.values()) {
      if (model.type == "Figure" && model.name == name) { return model }
    }
  }
  return null
}
window.itsliveWatch = () => {
  const renderers = itsliveFigure("itslive-series").renderers
  const lines = renderers.filter((one) => one.glyph && one.glyph.type == "Line")
  const source = lines[lines.length - 1].data_source
  source.properties.data.change.connect(() => {
    if (!Array.from(source.data.value).some(Number.isFinite)) { return }
    requestAnimationFrame(() => requestAnimationFrame(() => {
      window.itsliveLast = performance.now() - window.itsliveBegin
      if (window.itsliveStart != null) {
        window.itsliveTook = performance.now() - window.itsliveStart
        window.itsliveStart = null
      }
    }))
  })
  const start = () => {
    window.itsliveTook = window.itsliveLast = null
    window.itsliveStart = window.itsliveBegin = performance.now()
  }
  window.addEventListener("mousedown", start, true)
  window.addEventListener("keydown", start, true)
}
"""
READY = "window.Bokeh && Bokeh.documents.length && Bokeh.documents[0].is_idle"
ZOOMED = """() => { const f = window.itsliveFigure && itsliveFigure("itslive-world-map")
  return f != null && Math.abs(f.x_range.end - f.x_range.start) < 2e6 }"""


def start_server(cube: str | None, outlines: str | None) -> tuple[subprocess.Popen[bytes], str]:
    """Start the command that people use, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "dashboard.serve", "--port", str(port)]
    command += ["--cube", cube] if cube else []
    command += ["--outlines", outlines] if outlines else []
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=Path(__file__).resolve().parents[1]
    )
    url = f"http://localhost:{port}/"
    for _ in range(300):
        try:
            urllib.request.urlopen(url, timeout=60)
            return process, url
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    process.terminate()
    sys.exit("the server did not start")


def places(
    cube: str | None, outlines: str | None, n: int
) -> tuple[tuple[float, float], list[tuple[float, float]]]:
    """Return a position in the first glacier (lon, lat) and n of its pixels (x, y) spread over it."""
    from itslive_core import Glacier, open_cube
    from itslive_core.demo import demo_path

    source = open_cube(cube or demo_path().cubes[0])
    glacier = Glacier.list_from_file(outlines or demo_path().outlines)[0]
    pixels = np.argwhere(glacier.contains(source.x, source.y, source.crs))
    chosen = pixels[np.linspace(0, len(pixels) - 1, n + 2).astype(int)[1:-1]]
    here = glacier.outline.representative_point()
    return (here.x, here.y), [(float(source.x[col]), float(source.y[row])) for row, col in chosen]


def click(page: Any, figure: str, x: float, y: float) -> None:
    """Click at a position in a figure's coordinates."""
    position = page.evaluate(
        """([name, x, y]) => {
          const view = Bokeh.index.find_one_by_id(itsliveFigure(name).id)
          const box = view.el.getBoundingClientRect()
          return [box.left + view.frame.x_scale.compute(x), box.top + view.frame.y_scale.compute(y)]
        }""",
        [figure, x, y],
    )
    page.mouse.click(*position)


def took(page: Any) -> float:
    """Wait for the paint, and return the time it took [s]."""
    page.wait_for_function("window.itsliveTook != null", timeout=30_000)
    seconds = page.evaluate("window.itsliveTook") / 1000.0
    page.wait_for_timeout(300)
    return float(seconds)


def measure(
    page: Any, url: str, glacier: tuple[float, float], pixels: list[tuple[float, float]]
) -> dict[str, Any]:
    """Measure one page."""
    from pyproj import Transformer

    page.add_init_script(WATCH)
    begin = time.perf_counter()
    page.goto(url)
    page.wait_for_function(READY, timeout=60_000)
    page.wait_for_function(ZOOMED, timeout=60_000)
    load = time.perf_counter() - begin
    to_mercator = Transformer.from_crs(4326, 3857, always_xy=True)
    click(page, "itslive-world-map", *to_mercator.transform(*glacier))
    page.wait_for_function(
        """() => { const f = itsliveFigure("itslive-glacier-map")
          return f != null && Math.abs(f.x_range.start) > 1000 }"""
    )
    page.wait_for_timeout(4000)  # the overview reads all blocks into the cache
    page.evaluate("itsliveWatch()")
    clicks = []
    for x, y in pixels:
        click(page, "itslive-glacier-map", x, y)
        clicks.append(took(page))
    page.locator(".itslive-auto input").click()
    page.wait_for_timeout(1500)
    slider = page.locator(".itslive-lambda input[type=range]")
    slider.focus()
    slides = []
    for number in range(len(pixels)):
        slider.press("ArrowRight" if number % 2 else "ArrowLeft")
        slides.append(took(page))
    page.locator(".itslive-auto input").click()
    page.get_by_role("button", name="Gaussian process", exact=True).click()
    first, refined = [], []
    idle = page.locator(".itslive-activity .idle")
    page.wait_for_timeout(1000)
    for x, y in pixels:
        idle.wait_for(timeout=60_000)
        click(page, "itslive-glacier-map", x, y)
        first.append(took(page))
        idle.wait_for(timeout=60_000)
        page.wait_for_timeout(300)
        refined.append(page.evaluate("window.itsliveLast") / 1000.0)
    return {"page": [load], "click": clicks, "lambda": slides, "gp": first, "refined": refined}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cube", help="a datacube; default: the demo")
    parser.add_argument("--outlines", help="outlines of glaciers in it")
    parser.add_argument("--repeat", type=int, default=10)
    options = parser.parse_args()
    browser_path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    glacier, pixels = places(options.cube, options.outlines, options.repeat)
    process, url = start_server(options.cube, options.outlines)
    try:
        with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
            context = playwright.chromium.launch_persistent_context(
                profile,
                executable_path=browser_path,
                args=["--no-sandbox", "--disable-gpu"],
                viewport={"width": 1440, "height": 900},
            )
            warming = context.new_page()
            warming.goto(url)
            warming.wait_for_function(READY, timeout=120_000)
            warming.close()
            result = measure(context.new_page(), url, glacier, pixels)
            context.close()
    finally:
        process.terminate()
        process.wait(10)
    load = f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores"
    print(f"{'':8s} {'median':>8s} {'min':>8s} {'max':>8s}  [s]   {load}")
    for name, seconds in result.items():
        low, high, middle = min(seconds), max(seconds), statistics.median(seconds)
        print(f"{name:8s} {middle:8.3f} {low:8.3f} {high:8.3f}  n={len(seconds)}")


if __name__ == "__main__":
    main()
