"""Spatial smoothing against the truth: accuracy, standard deviations, seams between blocks, cost.

    python benchmarks/spatial.py [--side 16] [--seed 1] [--cube CUBE --outline OUTLINE]

Three glaciers with the acquisitions of the demo, few before 2013: one as wide as large glaciers are, whose
speed changes little from pixel to pixel, and both of the demo: a narrow fast one, whose speed changes by
hundreds of m/yr from pixel to pixel, and a slow one. A part of the noise is common to all pixels of a pair.
All with default settings beside ``spatial_smoothing="auto"``, on one thread; seconds are of the CPU. The
exact variance is that of the joint problem at random cells, one column of its inverse each.

With a cube and an outline, whole jobs are timed too, with smoothing that takes little time to solve, so that
neighbours cost the most beside it: wall seconds, on all cores.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

import itslive_core as itslive
from itslive_core import Glacier, ImagePairs, InversionSettings
from itslive_core.demo import demo_path
from itslive_core.jobs.coupling import CoupledBlocks, choose_for_job, halo_for
from itslive_core.jobs.plan import plan_area
from itslive_core.jobs.tasks import BlockTask, group_tasks
from itslive_core.neighbours.patches import Patch, couple
from itslive_core.observations.blocks import Block, PixelBlock
from itslive_core.observations.shared_pairs import SharedPairs
from itslive_core.observations.time_grid import TimeGrid
from itslive_core.synthetic.schedule import schedule_pairs
from itslive_core.synthetic.truth import Flow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

YEAR = 365.25
CHUNK = 10
ERAS = {
    "before 2013": (0, 2013),
    "before 1999": (0, 1999),
    "1999-2012": (1999, 2013),
    "2013-2015": (2013, 2016),
    "2016 on": (2016, 2099),
}
SETTINGS = InversionSettings(spatial_smoothing="auto")


@dataclass
class Area:
    """What is worked on.

    Parameters
    ----------
    name : str
    blocks : CoupledBlocks
    shared : SharedPairs
    mask : ndarray of bool, shape (T,)
    window : Block
        Holds all its pixels.
    truth : callable
        Velocity [m/yr] of the pixels of a block over the cells of a grid, shape (P, 2, M).
    """

    name: str
    blocks: CoupledBlocks
    shared: SharedPairs
    mask: NDArray[np.bool_]
    window: Block
    truth: Callable[[Block, TimeGrid], NDArray[np.float64]]


class WideGlacier:
    """Stands in for a cube: a square of pixels with a smooth truth."""

    def __init__(self, side: int, seed: int) -> None:
        every = schedule_pairs(seed)
        self.list = every.take(np.flatnonzero(~every.empty))
        self.shape = (side, side)
        self.rng = np.random.default_rng([seed, 7])
        y, x = np.indices(self.shape)
        self.level = 40.0 + 260.0 * np.exp(-(((y - 0.5 * side) / (2.0 * side)) ** 2)) * (0.8 + 0.4 * x / side)
        self.turn = 0.3 + 0.2 * x / side
        kinds = np.array(["S1", "S2", "L4_5", "L7", "L8_9"])[self.list.kind]
        zero = np.zeros(len(self.list))
        self.pairs = ImagePairs.from_arrays(
            self.list.start,
            self.list.end,
            zero,
            zero,
            vx_error=self.list.error[:, 0],
            vy_error=self.list.error[:, 1],
            mission=kinds,
        )

    def mean(self, start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean over spans of the function of time that all pixels share: a season and a slow swing."""
        total = np.ones_like(start)
        for amplitude, period in ((0.08, YEAR), (0.3, 16.0 * YEAR)):
            w = 2 * np.pi / period
            total += amplitude * (np.cos(w * start) - np.cos(w * end)) / (w * (end - start))
        return total

    def truth(self, block: Block, grid: TimeGrid) -> NDArray[np.float64]:
        """Velocity of the pixels of a block, shape (P, 2, M)."""
        part = slice(block.row0, block.row1), slice(block.col0, block.col1)
        speed = self.level[part].reshape(-1, 1) * self.mean(grid.edges[:-1], grid.edges[1:])
        turn = self.turn[part].reshape(-1, 1)
        return np.stack([speed * np.cos(turn), speed * np.sin(turn)], axis=1)

    def read_block(self, block: Block, *, cache: bool = True) -> PixelBlock:
        """Read as a cube does."""
        del cache
        part = slice(block.row0, block.row1), slice(block.col0, block.col1)
        rng = np.random.default_rng([block.row0, block.col0, 3])
        level, turn = self.level[part].ravel(), self.turn[part].ravel()
        seen = rng.random((len(level), len(self.list))) < self.list.share
        pixel, pair = np.nonzero(seen)
        speed = level[pixel] * self.mean(self.list.start, self.list.end)[pair]
        columns = []
        wild = rng.random(len(pixel)) < 0.03
        for axis, part_of in enumerate((np.cos, np.sin)):
            noise = 0.8 * self.list.spread[pair] * rng.standard_normal(len(pixel))
            noise *= np.where(wild, 8.0, 1.0)
            value = speed * part_of(turn[pixel]) + self.list.shift[pair, axis] + noise
            columns.append(np.rint(value).astype(np.float32))
        offsets = np.concatenate(([0], np.cumsum(np.bincount(pixel, minlength=len(level)))))
        none = np.zeros(len(level), dtype=np.int32)
        return PixelBlock(block, offsets, pair.astype(np.int32), columns[0], columns[1], none)


def wide(side: int, seed: int) -> Area:
    """Lay out the wide glacier."""
    cube = WideGlacier(side, seed)
    mask = np.ones(len(cube.pairs), dtype=bool)
    grid = TimeGrid.covering(cube.pairs.start, cube.pairs.end, SETTINGS.interval)
    shared = SharedPairs.make(cube.pairs, mask, grid)
    tasks = [
        BlockTask(0, block, np.ones(block.shape, dtype=bool), block.row0, block.col0)
        for row in range(0, side, CHUNK)
        for col in range(0, side, CHUNK)
        for block in [Block(row, min(row + CHUNK, side), col, min(col + CHUNK, side))]
    ]
    blocks = CoupledBlocks(cube, tasks, SETTINGS)  # type: ignore[arg-type]
    return Area("wide", blocks, shared, mask, Block(0, side, 0, side), cube.truth)


def demo(name: str, glacier: Glacier) -> Area:
    """Lay out a glacier of the demo."""
    cube = itslive.open_cube(demo_path().cubes[0])
    plan = plan_area(cube, glacier)
    mask = cube.pair_table.usable
    start, end = cube.pair_table.start[mask], cube.pair_table.end[mask]
    shared = SharedPairs.make(cube.pair_table, mask, TimeGrid.covering(start, end, SETTINGS.interval))

    def truth(block: Block, grid: TimeGrid) -> NDArray[np.float64]:
        x, y = np.meshgrid(cube.x[block.col0 : block.col1], cube.y[block.row0 : block.row1])
        flow = Flow.at(x.ravel(), y.ravel())
        speed = flow.mean_speed(grid.edges[:-1], grid.edges[1:])
        return np.stack([(speed * part).T for part in flow.direction.T], axis=1)

    window = Block(0, cube.shape[0], 0, cube.shape[1])
    return Area(name, CoupledBlocks(cube, plan.tasks, SETTINGS), shared, mask, window, truth)


def solve(blocks: CoupledBlocks, tasks: Sequence[BlockTask], shared: SharedPairs, mask: NDArray) -> list:
    """Solve neighbouring blocks with what is around them."""
    return blocks.solve(tasks, shared, blocks.fit(blocks.reach(tasks), shared, mask))


def report(area: Area) -> None:
    """Print the rows of one glacier."""
    blocks, shared, mask = area.blocks, area.shared, area.mask
    begin = time.process_time()
    fits = blocks.fit(blocks.tasks, shared, mask)
    plain = time.process_time() - begin
    begin = time.process_time()
    choose_for_job([blocks], [(shared, mask)], blocks.tasks)
    chosen = time.process_time() - begin
    begin = time.process_time()
    groups = group_tasks(blocks.tasks, blocks.group_side(shared, whole=True))
    solved = [found for group in groups for found in solve(blocks, group, shared, mask)]
    order = {id(task): k for k, task in enumerate(task for group in groups for task in group)}
    coupled = [solved[order[id(task)]][0] for task in blocks.tasks]
    solving = time.process_time() - begin
    pixels = sum(int(task.mask.sum()) for task in blocks.tasks)
    print(f"\n{area.name}: {pixels} pixels, mu {blocks.mu:g}, noise correlation {blocks.correlation:.2f}")
    years = 1970 + shared.grid.centres / YEAR
    truth = [area.truth(task.block, shared.grid) for task in blocks.tasks]
    print(f"{'':14}{'RMSE alone':>12}{'coupled':>10}{'ratio':>8}{'inside 95 %, alone':>20}{'coupled':>10}")
    for era, (low, high) in ERAS.items():
        now = (years >= low) & (years < high)
        cells = []
        for results in ([fit.result for fit in fits], coupled):
            error = np.concatenate(
                [(r.values - t)[..., now].ravel() for r, t in zip(results, truth, strict=True)]
            )
            std = np.concatenate([r.std[..., now].ravel() for r in results])
            good = np.isfinite(error) & np.isfinite(std)
            cells += [np.sqrt(np.mean(error[good] ** 2)), np.mean(np.abs(error[good]) < 1.96 * std[good])]
        alone, inside, together, now_inside = cells
        words = f"{era:14}{alone:12.2f}{together:10.2f}{together / alone:8.2f}"
        print(f"{words}{inside:20.3f}{now_inside:10.3f}")
    total = plain + chosen + solving
    print(
        f"CPU: uncoupled {plain:.1f} s; choosing mu {chosen:.1f} s, coupling {solving:.1f} s: "
        f"{total / plain:.2f} times the uncoupled run"
    )
    if blocks.mu == 0.0:
        return
    patch = Patch.join(fits, area.window, shared, SETTINGS)
    reach = max(area.window.shape)
    for mu in sorted({blocks.mu, 0.1}):
        blocks.mu = mu
        if reach > CHUNK + 2 * halo_for(mu):  # else block and halo are the whole
            seams(blocks, shared, mask, patch)
        variances(patch, mu)


def seams(blocks: CoupledBlocks, shared: SharedPairs, mask: NDArray[np.bool_], patch: Patch) -> None:
    """Print how far blocks are from the whole glacier solved at once, in standard deviations."""
    off = []
    for task in sorted(blocks.tasks, key=lambda task: -int(task.mask.sum()))[:4]:
        [fit] = blocks.fit([task], shared, mask)
        [(result, _)] = solve(blocks, [task], shared, mask)
        [(values, std)] = couple(patch, [fit], blocks.mu, blocks.correlation, uncertainty=True)
        off.append((np.abs(result.values - values) / std).ravel())
    all_off = np.concatenate(off)
    all_off = all_off[np.isfinite(all_off)]
    print(
        f"mu {blocks.mu:g}: blocks beside the whole at once, in std: rms {np.sqrt(np.mean(all_off**2)):.1e}, "
        f"99 % below {np.percentile(all_off, 99):.1e}, most {all_off.max():.1e}"
    )


def variances(patch: Patch, mu: float, n: int = 16) -> None:
    """Print approximate over exact standard deviation at random cells."""
    pixels = patch.pixels
    layout = pixels.layout
    rng = np.random.default_rng(0)
    chosen = rng.choice(np.flatnonzero(layout.size), n)
    ratio = pixels.variance_ratio(mu, chosen)
    errors, gains = [], []
    for row, p in enumerate(chosen):
        cell = int(rng.integers(layout.size[p]))
        exact = [pixels.covariance(strength, p, cell, tolerance=1e-6) for strength in (mu, 0.0)]
        errors.append(np.sqrt(ratio[row, layout.cell0[p] + cell] / (exact[0] / exact[1])))
        gains.append(np.sqrt(exact[0] / exact[1]))
    low, middle, high = np.percentile(errors, [5, 50, 95])
    print(
        f"mu {mu:g}: approximate over exact std: median {middle:.3f}, 5 to 95 % {low:.3f} to {high:.3f}; "
        f"exact std over that without neighbours: median {np.median(gains):.2f}"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=16, help="pixels along each side of the wide glacier")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cube", help="a datacube, for timings of whole jobs")
    parser.add_argument("--outline", help="outline of a glacier in it")
    arguments = parser.parse_args()
    if arguments.cube:
        time_jobs(itslive.open_cube(arguments.cube), arguments.outline)
    report_warm_up(arguments.seed)
    report(wide(arguments.side, arguments.seed))
    glaciers = sorted(Glacier.list_from_file(demo_path().outlines), key=lambda g: g.area_km2 or 0)
    report(demo("demo, slow and surging", glaciers[0]))
    report(demo("demo, fast and narrow", glaciers[-1]))


def time_jobs(cube: itslive.Datacube, outline: str) -> None:
    """Print what neighbours cost beside cheap estimates of the same glacier."""
    plain = InversionSettings(smoothing=10.0, noise="formal", offsets="none", smoothing_in_time="constant")
    cases = {
        "lambda 10, no robust passes, no std": replace(plain, robust=False, uncertainty=False),
        "lambda 10, no robust passes": replace(plain, robust=False),
        "lambda 10": plain,
        "lambda from the evidence": replace(plain, smoothing="evidence"),
    }

    def run(settings: InversionSettings) -> tuple[float, float]:
        begin = time.perf_counter()
        for result in itslive.run_glacier(cube, outline, settings, season=False):
            assert result.error is None, result.error
        return time.perf_counter() - begin, float(result.attributes.get("spatial_smoothing_used", 0.0))

    run(replace(plain, interval=48.0, spatial_smoothing="auto"))
    print(f"\n{cube.url}: wall seconds of the whole job")
    for name, settings in cases.items():
        alone, _ = run(settings)
        print(f"{name:36} alone {alone:.2f}", end="")
        for wanted in (0.03, 0.1, "auto"):
            seconds, mu = run(replace(settings, spatial_smoothing=wanted))
            words = wanted if wanted == mu else f"auto ({mu:g})"
            print(f"; mu {words}: {seconds:.2f} = {seconds / alone:.1f}x", end="")
        print(flush=True)


def report_warm_up(seed: int) -> None:
    """Load or compile the kernels before anything is timed."""
    area = wide(3, seed)
    area.blocks.settings = replace(SETTINGS, interval=48.0)
    grid = TimeGrid.covering(area.shared.start, area.shared.end, 48.0)
    shared = replace(area.shared, grid=grid, operator=grid.operator(area.shared.start, area.shared.end))
    choose_for_job([area.blocks], [(shared, area.mask)], area.blocks.tasks)
    task = area.blocks.tasks[0]
    area.blocks.mu = 0.1
    solve(area.blocks, [task], shared, area.mask)


if __name__ == "__main__":
    main()
