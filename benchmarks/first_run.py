"""What a newcomer waits for, from empty caches: compiling, the first page with a curve, the first command.

    python benchmarks/first_run.py

Caches are in a temporary folder; nothing of the user's is touched. CPU seconds are those of whole processes.
The page is opened with a link to a point of the demo, so that its curve needs no click.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from app_latency import READY, WATCH, start_server
from playwright.sync_api import sync_playwright

POINT = ("-50.1245", "69.3143")
CURVE = """() => { const f = window.itsliveFigure && itsliveFigure("itslive-series")
  if (f == null) { return false }
  const lines = f.renderers.filter((one) => one.glyph && one.glyph.type == "Line")
  return lines.some((one) => one.data_source.data.value
    && Array.from(one.data_source.data.value).some(Number.isFinite)) }"""


def cpu(*command: str) -> float:
    """Run a command; return its CPU time, that of its children included [s]."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def first_page() -> tuple[float, float, str]:
    """Start a server and look at its page: seconds to the page, to the curve, and what it says meanwhile."""
    begin = time.perf_counter()
    process, url = start_server(None, None)
    try:
        with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
            context = playwright.chromium.launch_persistent_context(
                profile,
                executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"),
                args=["--no-sandbox", "--disable-gpu"],
                viewport={"width": 1440, "height": 900},
            )
            page = context.new_page()
            page.add_init_script(WATCH)
            page.goto(f"{url}?lon={POINT[0]}&lat={POINT[1]}", timeout=120_000)
            page.wait_for_function(READY, timeout=120_000)
            drawn = time.perf_counter() - begin
            said = set()
            while not page.evaluate(CURVE):
                said.add(page.locator(".itslive-activity .busy, .itslive-activity .idle").first.inner_text())
                page.wait_for_timeout(200)
            curve = time.perf_counter() - begin
            context.close()
        time.sleep(20)
        memory = sum(one.memory_info().rss for one in [psutil.Process(process.pid)]) / 1e6
        print(f"memory of the server, a page seen and closed  {memory:8.0f} MB")
    finally:
        process.terminate()
        process.wait(10)
    return drawn, curve, "; ".join(sorted(said))


def main() -> None:
    python = sys.executable
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NUMBA_CACHE_DIR"] = str(Path(folder) / "kernels")
        os.environ["ITSLIVE_CACHE"] = str(Path(folder) / "cache")
        drawn, curve, said = first_page()
        print(f"empty caches: page {drawn:.1f} s, curve {curve:.1f} s; it said: {said}")
        drawn, curve, said = first_page()
        print(f"again:        page {drawn:.1f} s, curve {curve:.1f} s; it said: {said}")
        os.environ["NUMBA_CACHE_DIR"] = str(Path(folder) / "other")
        warm = "from itslive_core import warm_up; warm_up({})"
        print(f"compiling everything               {cpu(python, '-c', warm.format('')):8.1f} CPU s")
        print(f"another process, everything        {cpu(python, '-c', warm.format('')):8.1f} CPU s")
        stages = "'reading', 'inversion'"
        print(f"another process, the default       {cpu(python, '-c', warm.format(stages)):8.1f} CPU s")
        demo, out = str(Path(folder) / "demo.zarr"), str(Path(folder) / "series.nc")
        cpu(python, "-m", "itslive_core.cli", "demo", demo)
        where = ("--lon", POINT[0], "--lat", POINT[1], "-o", out)
        invert = (python, "-m", "itslive_core.cli", "invert", demo, *where)
        print(f"itslive invert of a point          {min(cpu(*invert) for _ in range(3)):8.1f} CPU s")
        print(
            f"itslive --help                     {cpu(python, '-m', 'itslive_core.cli', '--help'):8.2f} CPU s"
        )
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
