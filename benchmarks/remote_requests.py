"""Requests and seconds to open a remote cube and show a pixel, over S3 (moto's server) and plain HTTP.

    python benchmarks/remote_requests.py [--delay 0.1] [--cube path/to/cube.zarr]

Every request is counted at the server, on loopback. The cube has the layout of the public ones (47,000 pairs,
three chunks in time, one-dimensional arrays in one chunk, mid_date in 134), or is the one that is named. All
is done twice: with a server that answers at once, and with one that waits before every answer, as a distant
one does. Libraries are loaded and kernels compiled beforehand; every line opens the cube anew.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import itslive_core as itslive
from tests.remote.production import NAME, make_production
from tests.remote.servers import BUCKET, LocalServer, folder, forward, moto_server, upload

LINE = "{:<6}{:>9}  {:<26}{:>9}{:>9}{:>9}"


def measure(
    server: LocalServer, url: str, options: dict[str, Any] | None
) -> list[tuple[str, int, float, float]]:
    """Take the steps of a visitor; gives (step, requests, megabytes, seconds)."""
    lines = []

    def step(name: str, action: Any) -> Any:
        began = time.perf_counter()
        with server.counting() as requests:
            result = action()
        size = sum(request.size for request in requests) / 1e6
        lines.append((name, len(requests), size, time.perf_counter() - began))
        return result

    cube = step("open", lambda: itslive.open_cube(url, storage_options=options))
    middle = cube.blocks()[len(cube.blocks()) // 2]
    x, y = cube.x[middle.col0], cube.y[middle.row0]
    step("first pixel", lambda: cube.pairs_at(x=x, y=y))
    lines.append(("open and first pixel", *(sum(line[k] for line in lines) for k in (1, 2, 3))))
    step("second pixel, same block", lambda: cube.pairs_at(x=cube.x[middle.col1 - 1], y=y))
    other = next(block for block in cube.blocks() if block != middle)
    step("pixel of another block", lambda: cube.pairs_at(x=cube.x[other.col0], y=cube.y[other.row0]))
    return lines


def main() -> None:
    """Serve a cube in two ways and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--delay", type=float, default=0.1, help="seconds that the distant server waits")
    parser.add_argument("--cube", type=Path, help="serve this cube instead of a synthetic one")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="itslive-requests-")))
        if arguments.cube is None:
            make_production(root)
            name = NAME
        else:
            name = arguments.cube.name
            (root / name).symlink_to(arguments.cube.resolve())
        address = stack.enter_context(moto_server())
        # Links are followed only below the folder that is named.
        upload((root / name).resolve(), address, name)
        bucket = stack.enter_context(LocalServer(forward(*address)))
        site = stack.enter_context(LocalServer(folder(root)))
        endpoint = {"client_kwargs": {"endpoint_url": bucket.url}}
        ways: list[tuple[str, LocalServer, str, dict[str, Any] | None]] = [
            ("s3", bucket, f"s3://{BUCKET}/{name}", endpoint),
            ("http", site, f"{site.url}/{name}", None),
        ]
        for _, server, url, options in ways:
            measure(server, url, options)
        print(LINE.format("server", "delay ms", "step", "requests", "MB", "ms"))
        for way, server, url, options in ways:
            for delay in (0.0, arguments.delay):
                with server.delayed(delay):
                    for step, count, size, seconds in measure(server, url, options):
                        print(
                            LINE.format(
                                way, f"{1e3 * delay:.0f}", step, count, f"{size:.2f}", f"{1e3 * seconds:.0f}"
                            )
                        )


if __name__ == "__main__":
    main()
