"""The Gaussian process: how fast, how close to known truths, how well it predicts pairs it has not seen.

    python benchmarks/gaussian_process.py speed    path/to/cube.zarr [--celerite PYTHON] [--full]
    python benchmarks/gaussian_process.py truth    path/to/cube.zarr [--seeds 4] [--peer]
    python benchmarks/gaussian_process.py held-out path/to/cube.zarr [--peer]
    python benchmarks/gaussian_process.py gaps     path/to/cube.zarr

Acquisitions are those of the cube's busiest pixel, 2013 on; held-out pairs also those of its fastest pixel.
All times are CPU seconds on one thread.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import resource
import time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import truths
from peers.celerite import celerite_seconds
from peers.itslive_tool import best_smoothing, invert_dense
from peers.sklearn_gp import fit_predict
from scipy.special import gammaln

import itslive_core as itslive
from itslive_core.gaussian_process.component import DEGREES_OF_FREEDOM
from itslive_core.gaussian_process.data import PixelData
from itslive_core.gaussian_process.fit import Fit, fit_steps, solve_with
from itslive_core.inversion.point import use_pairs
from itslive_core.observations.missions import MISSIONS, mission_numbers
from itslive_core.observations.time_grid import TimeGrid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

YEAR = 365.25
WINDOWS = (2015.2, 2017.6, 2019.4, 2021.7)
"""Begins of the half years that are held out."""


def data_of(pairs: itslive.ImagePairs) -> PixelData:
    return PixelData.make(
        pairs.start,
        pairs.end,
        pairs.vx,
        pairs.vy,
        pairs.vx_error,
        pairs.vy_error,
        mission_numbers(pairs.mission),
    )


def fit(pairs: itslive.ImagePairs, interval: float = 12.0) -> Fit:
    *_, last = fit_steps(data_of(pairs), interval, trend=True, harmonics=6, offsets=True)
    return last


def since_2013(pairs: itslive.ImagePairs) -> itslive.ImagePairs:
    return use_pairs(pairs.take(pairs.start >= 43 * YEAR), itslive.InversionSettings())


def fastest(cube: itslive.Datacube, least: int = 3000) -> itslive.ImagePairs:
    """Give the pairs of the fastest pixel with many pairs."""
    best = (-1.0, 0, 0)
    for block in cube.blocks():
        pixels = cube.read_block(block)
        for k, (i, j) in enumerate(zip(pixels.offsets[:-1], pixels.offsets[1:], strict=True)):
            if j - i > least:
                row, col = divmod(k, block.shape[1])
                v = float(np.hypot(np.median(pixels.vx[i:j]), np.median(pixels.vy[i:j])))
                best = max(best, (v, block.row0 + row, block.col0 + col))
    place = cube.pixel(best[1], best[2])
    return cube.pairs_at(x=place.x, y=place.y)


# Speed ------------------------------------------------------------------------------------------------------


def speed(pairs: itslive.ImagePairs, celerite: str | None, *, full: bool) -> None:
    """Time a fit and its prediction, interleaved with scikit-learn and celerite2 on the same rows."""
    at = truths.Acquisitions(pairs.start, pairs.end, pairs.mission).between(2013, 2030)
    pairs = truths.simulate(at, "mixed", 0).pairs
    rng = np.random.default_rng(0)
    evaluations = {}
    itslive.fit_gaussian_process(pairs)  # compiles and loads
    for n in (1000, 2000, 4000, 7000):
        rows = np.sort(rng.choice(len(pairs), n, replace=n > len(pairs)))
        # More rows than there are: the same spans again, moved by some days.
        some = pairs.take(rows)
        shift = rng.uniform(0, 3, n) if n > len(pairs) else 0.0
        some = itslive.ImagePairs.from_arrays(
            some.start + shift,
            some.end + shift,
            some.vx,
            some.vy,
            vx_error=some.vx_error,
            vy_error=some.vy_error,
            mission=some.mission,
        )
        seconds = []
        for _ in range(3):
            begin = time.process_time()
            found = fit(some)
            seconds.append(time.process_time() - begin)
        ours = float(np.median(seconds))
        begin = time.process_time()
        solve_with(
            found.data, found.grid, found.shape, found.values, found.offsets, trust=found.trust, turns=0
        )
        posterior = time.process_time() - begin
        line = f"N {n:5d}: both components {ours:6.2f} s, posterior alone {1e3 * posterior:5.1f} ms"
        if n <= 2000 or full:
            peer = fit_predict(some, some.take(slice(0, 300)), max_span=None, limit=n)
            theirs = peer.fit_cpu_seconds + peer.predict_cpu_seconds
            evaluations[n] = peer.fit_cpu_seconds / one_evaluation(some)
            line += f"; scikit-learn, one component {theirs:8.1f} s = {2 * theirs / ours:.0f}x"
        else:
            count = max(evaluations.values())
            theirs = one_evaluation(some) * count
            line += f"; scikit-learn {theirs:8.1f} s (EXTRAPOLATED: one evaluation x {count:.0f})"
            line += f" = {2 * theirs / ours:.0f}x"
        if celerite:
            line += f"; celerite2, one component {seconds_of_celerite(celerite, found):.2f} s"
        print(line, flush=True)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB, peers included")


def one_evaluation(pairs: itslive.ImagePairs) -> float:
    """Time scikit-learn's evidence and gradient once."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ExpSineSquared, Matern, WhiteKernel

    kernel = Matern(1.0, nu=1.5) + ExpSineSquared() + WhiteKernel()
    model = GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True)
    model.fit(pairs.mid[:, None] / YEAR, pairs.vx)
    begin = time.process_time()
    model.log_marginal_likelihood(model.kernel_.theta, eval_gradient=True)
    return time.process_time() - begin


def seconds_of_celerite(python: str, found: Fit) -> float:
    along = found.components[0]
    mid = 0.5 * (found.data.start + found.data.end)
    return celerite_seconds(mid, along.y, np.sqrt(along.error2), found.grid.centres, python)


# Truth ------------------------------------------------------------------------------------------------------


def truth(pairs: itslive.ImagePairs, seeds: int, *, peer: bool) -> None:
    """Compare with simulated truths, and with ITS_LIVE_TOOL's estimates of the same pairs."""
    at = truths.Acquisitions(pairs.start, pairs.end, pairs.mission).between(2013, 2030)
    for family in truths.FAMILIES:
        table = []
        for seed in range(seeds):
            simulation = truths.simulate(at, family, seed)
            ds = itslive.fit_gaussian_process(simulation.pairs)
            grid = TimeGrid.covering(simulation.pairs.start, simulation.pairs.end, 12.0)
            low, high = np.quantile(simulation.pairs.mid, [0.01, 0.99])
            inner = (grid.centres > low) & (grid.centres < high)
            true = simulation.mean(grid.edges[:-1], grid.edges[1:])
            along = truths.DIRECTION[0] * ds["vx"].values + truths.DIRECTION[1] * ds["vy"].values
            std = np.hypot(
                truths.DIRECTION[0] * ds["vx_std"].values, truths.DIRECTION[1] * ds["vy_std"].values
            )
            cross = 2 * np.prod(truths.DIRECTION) * ds["vx_vy_cov"].values
            std = np.sqrt(std**2 + cross)
            error = (along - true)[inner]

            score = partial(tool_rmse, true=true, inner=inner)
            tool = score(*invert_dense(simulation.pairs))
            _, best_rmse, _ = best_smoothing(simulation.pairs, score)
            ours = float(np.sqrt(np.mean(error**2)))
            covered = np.mean(np.abs(error) < 1.96 * std[inner])
            table.append((ours, covered, ours / tool, ours / best_rmse))
            print(
                f"{family:12s} {seed}: RMSE {ours:5.1f} m/yr, coverage {covered:.3f}, mean std"
                f" {std[inner].mean():5.1f}; {ours / tool:.3f} of ITS_LIVE_TOOL's inversion,"
                f" {ours / best_rmse:.3f} of it with its best lambda",
                flush=True,
            )
            if peer:
                theirs = process_rmse(simulation.pairs, grid, true, inner)
                told = (
                    f"{rmse:.1f} ({name}; ours is {ours / rmse:.3f} of it)" for name, rmse in theirs.items()
                )
                print(f"{family:12s} {seed}: its Gaussian process {', '.join(told)}", flush=True)
        print(f"{family:12s} mean:", np.round(np.mean(table, axis=0), 3), flush=True)


def process_rmse(
    pairs: itslive.ImagePairs, grid: TimeGrid, true: NDArray[np.float64], inner: NDArray[np.bool_]
) -> dict[str, float]:
    """Give the RMSE of ITS_LIVE_TOOL's Gaussian process along the flow, of 1,200 pairs at most."""
    still = np.zeros(grid.size)
    cells = itslive.ImagePairs.from_arrays(grid.edges[:-1], grid.edges[1:], still, still)
    found = {
        name: fit_predict(pairs, cells, max_span=longest).mean
        for name, longest in (("pairs below 60 d", 60.0), ("all spans", None))
    }
    return {name: float(np.sqrt(np.mean((mean - true)[inner] ** 2))) for name, mean in found.items()}


def tool_rmse(
    _edges: NDArray[np.float64],
    vx: NDArray[np.float64],
    vy: NDArray[np.float64],
    *,
    true: NDArray[np.float64],
    inner: NDArray[np.bool_],
) -> float:
    """Give the RMSE of a solution of ITS_LIVE_TOOL's along the flow, on cells of the same axis."""
    along = truths.DIRECTION[0] * vx + truths.DIRECTION[1] * vy
    return float(np.sqrt(np.nanmean((along - true)[inner] ** 2)))


# Held-out pairs ---------------------------------------------------------------------------------------------


def splits(pairs: itslive.ImagePairs) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Give pairs to hold out: a fifth at random, all pairs of a tenth of the images, half years."""
    rng = np.random.default_rng(0)
    yield "random", rng.random(len(pairs)) < 0.2
    dates = np.unique(np.concatenate([pairs.start, pairs.end]))
    out = rng.choice(dates, len(dates) // 10, replace=False)
    yield "images", np.isin(pairs.start, out) | np.isin(pairs.end, out)
    held = np.zeros(len(pairs), dtype=bool)
    for begin in WINDOWS:
        day = (begin - 1970) * YEAR
        held |= (pairs.end > day) & (pairs.start < day + YEAR / 2)
    yield "gaps", held


def predict(found: Fit, pairs: itslive.ImagePairs) -> tuple[NDArray[np.float64], ...]:
    """Give mean, log density and whether the 95 % interval holds, of the velocity along the flow."""
    order = np.lexsort((pairs.end, pairs.start))
    data, scale, values = data_of(pairs.take(order)), found.data.scale, found.values
    columns = np.stack([np.ones(len(pairs)), *(1.0 * (data.mission == m) for m in found.offsets)])
    operator = found.grid.operator(data.start, data.end)
    told = [posterior.predict(operator, columns) for posterior in found.posteriors]
    turn = found.data.flow_in_frame
    mean = sum(k * (m * scale + c.centre) for k, (m, _), c in zip(turn, told, found.components, strict=True))
    variance = sum(k**2 * v for k, (_, v) in zip(turn, told, strict=True))
    names = [f"noise_factor_{MISSIONS[m]}" for m in data.mission]
    factor = np.array([values.get(name, 1.0) for name in names])
    noise = factor**2 * (data.error2 / scale**2 + values["noise_floor"] ** 2)
    c, s = found.data.flow
    y = c * pairs.vx[order] + s * pairs.vy[order]
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    apart = ((y - mean) / scale)[:, None] - np.sqrt(variance)[:, None] * nodes
    nu = DEGREES_OF_FREEDOM
    half = (nu + 1) / 2
    log_t = gammaln(half) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi * noise[:, None])
    log_t = log_t - half * np.log1p(apart**2 / (nu * noise[:, None]))
    density = np.log(np.exp(log_t) @ weights / weights.sum()) - np.log(scale)
    rng = np.random.default_rng(0)
    draws = np.sqrt(noise)[:, None] * rng.standard_t(DEGREES_OF_FREEDOM, 4000)
    draws = draws + np.sqrt(variance)[:, None] * rng.normal(size=4000)
    inside = np.mean(np.abs(draws) < np.abs((y - mean) / scale)[:, None], axis=1) < 0.95
    back = np.argsort(order)
    return mean[back], density[back], inside[back]


def held_out(pixels: dict[str, itslive.ImagePairs], *, peer: bool) -> None:
    """Predict short pairs that were not used."""
    for name, pairs in pixels.items():
        pairs = since_2013(pairs)
        for split, test in splits(pairs):
            train, rest = pairs.take(~test), pairs.take(test)
            fits = (rest.span < 60) & (rest.start >= train.start.min()) & (rest.end <= train.end.max())
            rest = rest.take(fits)
            for interval in (12.0, 6.0):
                begin = time.process_time()
                found = fit(train, interval)
                seconds = time.process_time() - begin
                mean, density, inside = predict(found, rest)
                c, s = found.data.flow
                error = c * rest.vx + s * rest.vy - mean
                print(
                    f"{name} {split:7s} n {len(rest):4d}, {interval:g} d: NLPD {-density.mean():.3f}, RMSE"
                    f" {np.sqrt(np.mean(error**2)):6.1f}, median {np.median(np.abs(error)):5.1f},"
                    f" coverage {inside.mean():.3f}, {seconds:.1f} s {found.reason}",
                    flush=True,
                )
            if peer:
                theirs = fit_predict(train, rest)
                c, s = found.data.flow
                error = c * rest.vx + s * rest.vy - theirs.mean
                inside = np.abs(error) < theirs.half_width
                print(
                    f"{name} {split:7s} n {len(rest):4d}, scikit-learn:"
                    f" NLPD {-theirs.log_density.mean():.3f}, RMSE {np.sqrt(np.mean(error**2)):6.1f},"
                    f" median {np.median(np.abs(error)):5.1f}, coverage {inside.mean():.3f},"
                    f" {theirs.fit_cpu_seconds:.1f} s",
                    flush=True,
                )


def gaps(pairs: itslive.ImagePairs) -> None:
    """Take all pairs that touch a polar night of four months, every winter, from simulated pixels."""
    at = truths.Acquisitions(pairs.start, pairs.end, pairs.mission).between(2013, 2030)
    for family in ("mixed", "seasonal", "accelerating"):
        inside = []
        for seed in range(3):
            year = at.start / YEAR + 1970
            keep = (year % 1 > 4 / 12) & ((year % 1) + (at.end - at.start) / YEAR < 1)
            simulation = truths.simulate(at.take(keep), family, seed)
            ds = itslive.fit_gaussian_process(simulation.pairs)
            grid = TimeGrid.covering(simulation.pairs.start, simulation.pairs.end, 12.0)
            true = simulation.mean(grid.edges[:-1], grid.edges[1:])
            error = np.abs(ds["vx"].values - truths.DIRECTION[0] * true)
            dark = ds["coverage"].values == 0
            inside.append(np.mean((error < 1.96 * ds["vx_std"].values)[dark]))
        print(f"{family:12s} coverage of cells without pairs: {np.round(inside, 3)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["speed", "truth", "held-out", "gaps"])
    parser.add_argument("cube")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--celerite", metavar="PYTHON", help="interpreter that has celerite2")
    parser.add_argument("--full", action="store_true", help="run scikit-learn on 4000 and 7000 pairs, too")
    parser.add_argument("--peer", action="store_true", help="run ITS_LIVE_TOOL's process, too")
    options = parser.parse_args()
    cube = itslive.open_cube(options.cube)
    pairs = truths.busiest(cube)
    if options.what == "speed":
        speed(pairs, options.celerite, full=options.full)
    elif options.what == "truth":
        truth(pairs, options.seeds, peer=options.peer)
    elif options.what == "gaps":
        gaps(pairs)
    else:
        held_out({"fastest": fastest(cube), "busiest": pairs}, peer=options.peer)


if __name__ == "__main__":
    main()
