"""Requests and seconds to open a remote cube and show a pixel, over S3 (moto's server) and plain HTTP.

    python benchmarks/remote_requests.py [--delay 0.1] [--cube path/to/cube.zarr] [--sharded] [--cpu]

Every request is counted at the server, on loopback. The cube has the layout of the public ones (47,000 pairs,
three chunks in time, one-dimensional arrays in one chunk, mid_date in 134), or is the one that is named;
with ``--sharded`` it is written anew first, in format 3, as the next generation of cubes is. All is done
twice: with a server that answers at once, and with one that waits before every answer, as a distant one does;
its rounds are counted: requests that came while none was answered. Libraries are loaded and kernels compiled
beforehand; every line opens the cube anew. ``--cpu`` measures, on the disk, what reading costs in both
formats, beside the bare decompression of their chunks.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import zarr

import itslive_core as itslive
from tests.cubes.forms import copy_arrays
from tests.remote.production import NAME, make_production
from tests.remote.servers import BUCKET, LocalServer, folder, forward, moto_server, upload

LINE = "{:<6}{:>9}  {:<26}{:>9}{:>9}{:>9}{:>9}"


def measure(
    server: LocalServer, url: str, options: dict[str, Any] | None
) -> list[tuple[str, int, int, float, float]]:
    """Take the steps of a visitor; gives (step, requests, rounds, megabytes, seconds)."""
    lines = []

    def step(name: str, action: Any) -> Any:
        began = time.perf_counter()
        with server.counting() as requests:
            result = action()
        size = sum(request.size for request in requests) / 1e6
        moments = sorted(request.moment for request in requests)
        rounds = sum(later - earlier > 0.5 * server.delay for earlier, later in pairwise([-1.0, *moments]))
        lines.append((name, len(requests), rounds, size, time.perf_counter() - began))
        return result

    cube = step("open", lambda: itslive.open_cube(url, storage_options=options))
    middle = cube.blocks()[len(cube.blocks()) // 2]
    x, y = cube.x[middle.col0], cube.y[middle.row0]
    step("first pixel", lambda: cube.pairs_at(x=x, y=y))
    lines.append(("open and first pixel", *(sum(line[k] for line in lines) for k in (1, 2, 3, 4))))
    step("second pixel, same block", lambda: cube.pairs_at(x=cube.x[middle.col1 - 1], y=y))
    other = next(block for block in cube.blocks() if block != middle)
    step("pixel of another block", lambda: cube.pairs_at(x=cube.x[other.col0], y=cube.y[other.row0]))
    cube = itslive.open_cube(url, storage_options=options)
    step("all blocks", lambda: list(itslive.read_glacier(cube, whole=True)))
    return lines


def write_as(source: Path, target: Path, zarr_format: int) -> None:
    """Write a cube anew with chunks of 8 x 8 pixels, of format 3 in shards."""
    group = zarr.open_group(target, mode="w", zarr_format=zarr_format)
    copy_arrays(zarr.open_group(source, mode="r"), group, sharded=zarr_format == 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # consolidated metadata of format 3 are not in its text yet
        zarr.consolidate_metadata(group.store)


def cpu_seconds(action: Any) -> float:
    """Measure the processor time of something, the best of five."""
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        action()
        best = min(best, time.process_time() - began)
    return best


def measure_cpu(source: Path, root: Path) -> None:
    """Print what it costs to read all blocks."""
    from numcodecs import blosc

    paths = {2: root / "format-2.zarr", 3: root / "sharded.zarr"}
    for zarr_format, path in paths.items():
        write_as(source, path, zarr_format)

    def read(path: Path) -> None:
        cube = itslive.open_cube(path)
        cube.expect(cube.blocks())
        for block in cube.blocks():
            cube.read_block(block, cache=False)

    chunks = [file.read_bytes() for name in ("vx", "vy") for file in (paths[2] / name).glob("[0-9]*")]
    blosc.use_threads = False
    read(paths[2])
    bare = cpu_seconds(lambda: [blosc.decompress(chunk) for chunk in chunks])
    for name, seconds in (
        ("bare decompression", bare),
        ("format 2", cpu_seconds(lambda: read(paths[2]))),
        ("format 3, in shards", cpu_seconds(lambda: read(paths[3]))),
    ):
        print(f"{name:<26}{1e3 * seconds:9.0f} CPU ms{seconds / bare:9.2f}")


def main() -> None:
    """Serve a cube in two ways and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--delay", type=float, default=0.1, help="seconds that the distant server waits")
    parser.add_argument("--cube", type=Path, help="serve this cube instead of a synthetic one")
    parser.add_argument("--sharded", action="store_true", help="write the cube in format 3 first, in shards")
    parser.add_argument("--cpu", action="store_true", help="measure what decoding costs, without a server")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="itslive-requests-")))
        if arguments.cube is None:
            make_production(root)
            name = NAME
        else:
            name = arguments.cube.name
            (root / name).symlink_to(arguments.cube.resolve())
        if arguments.cpu:
            measure_cpu(root / name, root)
            return
        if arguments.sharded:
            write_as(root / name, root / "sharded.zarr", 3)
            name = "sharded.zarr"
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
        print(LINE.format("server", "delay ms", "step", "requests", "rounds", "MB", "ms"))
        for way, server, url, options in ways:
            for delay in (0.0, arguments.delay):
                with server.delayed(delay):
                    for step, count, rounds, size, seconds in measure(server, url, options):
                        told = rounds if delay else ""
                        ms, mb = f"{1e3 * seconds:.0f}", f"{size:.2f}"
                        print(LINE.format(way, f"{1e3 * delay:.0f}", step, count, told, mb, ms))


if __name__ == "__main__":
    main()
