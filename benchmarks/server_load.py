"""How long visitors of one server wait while others move lambda too, and whether each gets its own curve.

    python benchmarks/server_load.py --sessions 1 5 10 20 --seconds 60
    python benchmarks/server_load.py --sessions 20 --num-procs 2
    python benchmarks/server_load.py --sessions 1 --glacier             beside the estimate of a whole glacier
    python benchmarks/server_load.py --sessions 10 --profile load.txt   needs py-spy

Starts `itslive-dashboard --public`. Each visitor (`benchmarks/visitor.py`) opens a pixel of its own by a
link and moves lambda every two seconds, whatever has become of the move before: who waits longer is measured
from when it would have moved. A move has been answered when the curve has come that answers it. At the end
the last curve of each is compared with what the core estimates for its pixel and its lambda: a difference is
a crossing.

Counted are also CPU seconds of all processes of the server by move, and the load of the machine, which others
may use too.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from pyproj import Transformer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.visitor import Visitor, server_url

EVERY = 2.0
"""Between two moves of a visitor [s]."""
ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = "synthetic"


def start_server(log: Path, *options: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start the public server on a free port, and wait until it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "dashboard.serve",
        "--public",
        "--metrics",
        "--port",
        str(port),
        *options,
    ]
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT)
    url = server_url(port)
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{url}health", timeout=10)
            return process, url
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    process.terminate()
    sys.exit(f"the server did not start: {log.read_text()}")


def used(process: subprocess.Popen[bytes]) -> float:
    """CPU seconds of a server and its processes so far."""
    whole = psutil.Process(process.pid)
    times = [one.cpu_times() for one in (whole, *whole.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def pixels(n: int) -> list[tuple[float, float, float, float]]:
    """Return n pixels of the first glacier of the example: longitude, latitude, x, y."""
    from dashboard.control.examples import example_of
    from itslive_core import open_cube

    opened = example_of(EXAMPLE).read(open_cube)
    cube, glacier = opened.cubes[0], opened.glaciers[0]
    there = np.argwhere(glacier.contains(cube.x, cube.y, cube.crs))
    to_degrees = Transformer.from_crs(cube.crs, 4326, always_xy=True)
    found = []
    for row, column in there[np.linspace(0, len(there) - 1, n + 2).astype(int)[1:-1]]:
        x, y = float(cube.x[column]), float(cube.y[row])
        found.append((*to_degrees.transform(x, y), x, y))
    return found


class Person:
    """Somebody who opens a pixel and goes on moving lambda.

    Parameters
    ----------
    url : str
    place : tuple of float
        From `pixels`.
    number : int
        Seeds what it does.
    """

    def __init__(self, url: str, place: tuple[float, float, float, float], number: int) -> None:
        lon, lat, self.x, self.y = place
        self.chance = random.Random(number)
        self.log_smoothing = 1.0
        self.waits: list[float] = []
        self.late = 0
        self.visitor = Visitor(url, f"?example={EXAMPLE}&lambda=10&robust=1&lon={lon:.6f}&lat={lat:.6f}")

    async def arrive(self) -> float:
        """Open the page; return how long it takes until the curve is there [s]."""
        began = time.monotonic()
        await self.visitor.open()
        await self.visitor.until(
            lambda: np.isfinite(self.curve()).any() and "itslive-lambda" in self.visitor.widgets
        )
        self.visitor.learning = False
        return time.monotonic() - began

    def curve(self) -> Any:
        """Return the curve that is shown [m/yr]."""
        return self.visitor.column("curve", "value").astype(float)

    async def move(self) -> None:
        """Move lambda, and wait for another curve than the one that is shown."""
        before = self.curve()
        self.log_smoothing = round(self.chance.uniform(0.0, 4.0), 2)
        await self.visitor.move("itslive-lambda", self.log_smoothing)
        while np.array_equal(before, self.curve(), equal_nan=True):
            await asyncio.wait_for(self.visitor.expect("curve"), 60.0)

    async def go_on(self, seconds: float) -> None:
        """Move every two seconds."""
        due = time.monotonic() + self.chance.uniform(0.0, EVERY)
        end = due + seconds
        while due < end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            try:
                await self.move()
            except TimeoutError:
                self.late += 1
            self.waits.append(time.monotonic() - due)
            due += EVERY

    def crossed(self, cube: Any) -> bool:
        """Tell whether what is shown is not what the core estimates here."""
        from dashboard.state.settings import Settings
        from itslive_core import invert

        state = Settings(auto_smoothing=False, log_smoothing=self.log_smoothing)
        series = invert(cube.pairs_at(x=self.x, y=self.y), state.to_core())
        expected = np.where(series["n_pairs"].values > 0, series["v"].values, np.nan)
        shown = self.curve()
        return not (len(shown) == len(expected) and np.allclose(shown, expected, rtol=1e-6, equal_nan=True))


async def measure(options: argparse.Namespace, process: subprocess.Popen[bytes], url: str) -> None:
    """Open sessions and measure, for each number of them."""
    from dashboard.control.examples import example_of
    from itslive_core import open_cube

    most = max(options.sessions)
    people = [Person(url, place, number) for number, place in enumerate(pixels(most))]
    cube = example_of(EXAMPLE).read(open_cube).cubes[0]
    neighbour = None
    print(f"{'sessions':>8s} {'moves':>6s} {'p50':>6s} {'p95':>6s} {'max':>6s} {'CPU':>6s} {'load':>5s}  [s]")
    here = 0
    for count in sorted(options.sessions):
        for person in people[here:count]:
            await person.arrive()
        here = count
        if options.glacier and neighbour is None:
            neighbour = await at_work(url)
        await asyncio.sleep(3.0)
        profiler = profile(process, options) if count == most else None
        for person in people[:count]:
            person.waits.clear()
        before = used(process)
        await asyncio.gather(*(person.go_on(options.seconds) for person in people[:count]))
        spent = used(process) - before
        if profiler is not None:
            profiler.wait()
        waits = np.array([wait for person in people[:count] for wait in person.waits])
        p50, p95 = np.percentile(waits, [50, 95])
        late = sum(person.late for person in people)
        print(
            f"{count:8d} {len(waits):6d} {p50:6.2f} {p95:6.2f} {waits.max():6.2f} {spent / len(waits):6.3f}"
            f" {os.getloadavg()[0]:5.1f}" + (f"  never answered: {late}" if late else ""),
            flush=True,
        )
    if neighbour is not None:
        print("the glacier was", "still at work" if options.glacier else "done", neighbour.told[-1:])
    await asyncio.sleep(3.0)
    told = [text for person in people for text in person.visitor.told]
    problems = [text for person in people for text in person.visitor.problems]
    crossings = sum(person.crossed(cube) for person in people)
    print(f"errors: {told + problems or 'none'}; crossings: {crossings or 'none'}")
    for person in people:
        await person.visitor.close()


async def at_work(url: str) -> Visitor:
    """Open one more session, and let it estimate the whole glacier."""
    lon, lat, *_ = pixels(1)[0]
    visitor = Visitor(url, f"?example={EXAMPLE}&h=2&lon={lon:.6f}&lat={lat:.6f}")
    await visitor.open()
    await visitor.until(lambda: "curve" in visitor.sources and visitor.column("curve", "value").size)
    await visitor.press("itslive-invert")
    return visitor


def profile(process: subprocess.Popen[bytes], options: argparse.Namespace) -> subprocess.Popen[bytes] | None:
    """Watch the server while it is used."""
    if not options.profile:
        return None
    whole = psutil.Process(process.pid)
    target = next(iter(whole.children()), whole) if options.num_procs > 1 else whole
    return subprocess.Popen(
        [*options.spy.split(), "record", "-r", "100", "-d", str(int(options.seconds)), "-f", "raw"]
        + (["--gil"] if options.gil else [])
        + ["-o", options.profile, "-p", str(target.pid)],
        stdout=subprocess.DEVNULL,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 5, 10, 20])
    parser.add_argument("--seconds", type=float, default=60.0, help="for each number of sessions")
    parser.add_argument("--num-procs", type=int, default=1)
    parser.add_argument("--glacier", action="store_true", help="one more session estimates a whole glacier")
    parser.add_argument("--example", default=EXAMPLE)
    parser.add_argument("--profile", help="file for stacks of the server at the largest number of sessions")
    parser.add_argument("--gil", action="store_true", help="only what holds the interpreter's lock")
    parser.add_argument("--spy", default="py-spy", help="command of the profiler")
    options = parser.parse_args()
    globals()["EXAMPLE"] = options.example
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.txt"
        process, url = start_server(
            log, *(["--num-procs", str(options.num_procs)] if options.num_procs > 1 else [])
        )
        try:
            asyncio.run(measure(options, process, url))
        finally:
            process.terminate()
            process.wait(30)
        if "Traceback" in (text := log.read_text()):
            print(text[text.index("Traceback") - 300 :][:3000])


if __name__ == "__main__":
    main()
