"""Pixels per second on a GPU, beside the compiled CPU solver on two cores.

    python benchmarks/device.py path/to/parlung.zarr [--device cuda] [--pixels 2048] [--intervals 12 6 3 1]

Pixels that hold data are read beforehand, and taken again and again until there are enough; what is timed is
solving them, with copies to the device and back. Each contestant runs once to warm up and then `--rounds`
times, in turn; the best round counts. The CPU solver gets `--cpu-pixels` of them, shared between its two
threads, because it is linear in pixels and slow at short intervals. Results of both are compared. Last comes
spatial smoothing, mu = 0.1, of all pixels of the cube's blocks that hold those pixels, by two threads and by
the device; the CPU solves the same problem.

With `--device cpu` the batched solver runs on torch's CPU device, which shows that the script works and
nothing else. This repository claims no figure of a GPU: it was written where there was none.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

import itslive_core as itslive
from itslive_core.inversion.banded import BandedSolver
from itslive_core.inversion.solver import PixelBatch, SolveOptions
from itslive_core.inversion.torch.block_tridiagonal import BlockTridiagonalSolver, multiplications
from itslive_core.neighbours.patches import Patch, fit_blocks
from itslive_core.neighbours.torch_coupled import TorchCoupledPixels
from itslive_core.observations.blocks import Block
from itslive_core.observations.shared_pairs import SharedPairs
from itslive_core.observations.time_grid import TimeGrid
from itslive_core.support.devices import find_devices, gpu_pays, require_cuda

if TYPE_CHECKING:
    from collections.abc import Callable

    from itslive_core.neighbours.coupled import CoupledPixels

CASES = {
    "lambda 10": SolveOptions(2, 10.0, robust=False, uncertainty=False),
    "lambda 10, std": SolveOptions(2, 10.0, robust=False, uncertainty=True),
    "robust, std": SolveOptions(2, 10.0, robust=True, uncertainty=True),
    "evidence, robust, std": SolveOptions(2, "evidence", robust=True, uncertainty=True),
}
CORES, LEAST_PAIRS = 2, 100


def read_pixels(cube: itslive.Datacube, most: int) -> tuple[np.ndarray, list[tuple[np.ndarray, ...]]]:
    """Give the mask of usable pairs, and (pair, vx, vy) of up to so many pixels."""
    usable = np.asarray(cube.pair_table.usable)
    found: list[tuple[np.ndarray, ...]] = []
    for block in cube.blocks():
        pixels = cube.read_block(block).keep(usable)
        for i, j in pairwise(pixels.offsets):
            if j - i > LEAST_PAIRS:
                found.append((pixels.pair[i:j], pixels.vx[i:j], pixels.vy[i:j]))
        if len(found) >= most:
            break
    return usable, found[:most]


def batch_of(shared: SharedPairs, pixels: list[tuple[np.ndarray, ...]], count: int) -> PixelBatch:
    """Make a batch of `count` pixels, taking those there are in turn."""
    chosen = [pixels[k % len(pixels)] for k in range(count)]
    offsets = np.concatenate(([0], np.cumsum([len(pair) for pair, *_ in chosen])))
    pair = shared.renumber[np.concatenate([pair for pair, *_ in chosen])]
    vx, vy = (np.concatenate([p[k] for p in chosen]).astype(np.float64) for k in (1, 2))
    return PixelBatch(shared.operator, shared.span_id, offsets, pair, vx, vy, np.ones(len(pair)))


def part_of(batch: PixelBatch, i: int, j: int) -> PixelBatch:
    """Take pixels i:j."""
    here = slice(batch.offsets[i], batch.offsets[j])
    return replace(
        batch,
        offsets=batch.offsets[i : j + 1] - batch.offsets[i],
        pair=batch.pair[here],
        vx=batch.vx[here],
        vy=batch.vy[here],
        weights=batch.weights[here],
    )


def on_cores(batch: PixelBatch, options: SolveOptions) -> list[np.ndarray]:
    """Solve with the compiled solver on two threads."""
    edges = np.linspace(0, batch.n_pixels, CORES + 1).astype(int)
    parts = [part_of(batch, i, j) for i, j in pairwise(edges)]
    with ThreadPoolExecutor(CORES) as pool:
        return [r.values for r in pool.map(lambda b: BandedSolver().solve(b, options), parts)]


def best(work: Callable[[], object], rounds: int) -> float:
    """Return the wall seconds of the best round after one to warm up."""
    work()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def coupled(cube: itslive.Datacube, usable: np.ndarray, shared: SharedPairs, pixels: int) -> CoupledPixels:
    """Make the problem of coupled pixels: whole blocks, until there are so many pixels."""
    settings = itslive.InversionSettings(
        smoothing=10.0, robust=False, noise="formal", offsets="none", smoothing_in_time="constant"
    )
    blocks, held = [], 0
    for block in cube.blocks():
        blocks.append(cube.read_block(block).keep(usable))
        held += len(blocks[-1].n_partial)
        if held >= pixels:
            break
    fits = fit_blocks(blocks, shared, settings)
    return Patch.join(fits, Block(0, cube.shape[0], 0, cube.shape[1]), shared, settings).pixels


def compare_coupled(
    problem: CoupledPixels, interval: float, shared: SharedPairs, given: argparse.Namespace
) -> None:
    """Print the pixels per second of both engines for coupled pixels."""
    every = np.arange(len(problem.layout.size))
    # Made anew each time: the copies to the device count.
    engines = (lambda: replace(problem, threads=CORES)), (lambda: TorchCoupledPixels(problem, given.device))
    cases: dict[str, Callable[..., np.ndarray]] = {
        "mu 0.1": lambda engine: engine().solve(0.1).flat,
        "mu 0.1, variances": lambda engine: engine().variance_ratio(0.1, every),
    }
    for name, work in cases.items():
        cpu, device = (best(partial(work, engine), given.rounds) for engine in engines)
        expected, found = (work(engine) for engine in engines)
        apart = np.nanmax(np.abs(found - expected)) / np.nanmax(np.abs(expected))
        print(
            f"{interval:8g} {shared.grid.size:6d} {shared.operator.bandwidth:5d}  {name:<22}"
            f" {len(every) / cpu:10.1f} {len(every) / device:10.1f}  x{cpu / device:.2f}, apart {apart:.0e},"
            f" {len(every)} pixels",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cube")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--pixels", type=int, default=2048)
    parser.add_argument("--cpu-pixels", type=int, default=32)
    parser.add_argument("--intervals", type=float, nargs="+", default=[12.0, 6.0, 3.0, 1.0])
    parser.add_argument("--coupled-pixels", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if given.device == "cuda":
        require_cuda()
    for device in find_devices():
        print(f"{device.kind}: {device}")
    cube = itslive.open_cube(given.cube)
    usable, pixels = read_pixels(cube, given.pixels)
    table = cube.pair_table
    pairs = np.mean([len(pair) for pair, *_ in pixels])
    print(f"{len(pixels)} pixels with {pairs:,.0f} pairs on average; solved at once: {given.pixels}")
    print(f"{'interval':>8} {'cells':>6} {'band':>5}  {'task':<22} {'2 cores':>10} {given.device:>10}  px/s")
    solver = BlockTridiagonalSolver(given.device)
    for interval in given.intervals:
        grid = TimeGrid.covering(table.start[usable], table.end[usable], interval)
        shared = SharedPairs.make(table, usable, grid)
        many, few = (batch_of(shared, pixels, n) for n in (given.pixels, min(given.cpu_pixels, given.pixels)))
        for name, options in CASES.items():
            cpu = best(lambda: on_cores(few, options), given.rounds)  # noqa: B023 - called at once
            device_time = best(lambda: solver.solve(many, options), given.rounds)  # noqa: B023
            expected = np.concatenate(on_cores(few, options))
            found = solver.solve(few, options).values
            apart = np.nanmax(np.abs(found - expected)) / np.nanmax(np.abs(expected))
            rates = few.n_pixels / cpu, many.n_pixels / device_time
            automatic = gpu_pays(many.n_pixels, multiplications(many.n_pixels, many.operator, options))
            print(
                f"{interval:8g} {grid.size:6d} {shared.operator.bandwidth:5d}  {name:<22} {rates[0]:10.1f}"
                f" {rates[1]:10.1f}  x{rates[1] / rates[0]:.2f}, apart {apart:.0e},"
                f" 'auto' takes {'a GPU' if automatic else 'the CPU'}",
                flush=True,
            )
        compare_coupled(coupled(cube, usable, shared, given.coupled_pixels), interval, shared, given)


if __name__ == "__main__":
    main()
