"""How well events are dated: simulated surges, and quiet ice and rock, on real acquisition dates.

    python benchmarks/events.py CUBE [--surges 200] [--quiet 50] [--seed 0]

Pairs of pixels of CUBE give the dates, missions and formal errors. Surges of random onset, rise, fall and
size are added to a quiet glacier with a season; the values have noise of the size of the formal errors, with
heavy tails. Printed are the median error of the onset, how often intervals of 95 % hold, how many are found,
and false alarms per 100 years of quiet ice and of rock.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np

import itslive_core as itslive

YEAR = 365.25
SETTINGS = itslive.InversionSettings(interval=12.0)


def ramp(t, begin, rise, fall, rounded):
    """0 to 1 and back, straight or as cosines."""
    up = np.clip((t - begin) / rise, 0.0, 1.0)
    down = np.clip((t - begin - rise) / fall, 0.0, 1.0)
    if rounded:
        up, down = 0.5 - 0.5 * np.cos(np.pi * up), 0.5 - 0.5 * np.cos(np.pi * down)
    return up - down


def observe(pairs, truth, rng, floor):
    """Mean of a truth over each span, with noise in both components."""
    nodes, weights = np.polynomial.legendre.leggauss(32)
    t = 0.5 * (pairs.start + pairs.end)[:, None] + 0.5 * pairs.span[:, None] * nodes
    mean = truth(t) @ weights / 2
    sigma = np.hypot(np.nan_to_num(pairs.vx_error, nan=30.0), floor)
    noise = [sigma * rng.standard_t(4, len(sigma)) / np.sqrt(2.0) for _ in range(2)]
    return replace(pairs, vx=0.8 * mean + noise[0], vy=0.6 * mean + noise[1], around=None)


def edge_day(days, departure):
    """Days between which the departure is above a tenth of its most."""
    above = np.flatnonzero(departure >= 0.1 * departure.max())
    return days[above[0]], days[above[-1]]


def quiet_truth(rng, speed):
    amplitude, phase, trend = (
        rng.uniform(0.0, 0.2) * speed,
        rng.uniform(0, 2 * np.pi),
        rng.uniform(-0.02, 0.02) * speed,
    )
    return lambda t: speed + amplitude * np.sin(2 * np.pi * t / YEAR + phase) + trend * (t - 17_500.0) / YEAR


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cube")
    parser.add_argument("--surges", type=int, default=200)
    parser.add_argument("--quiet", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", default="2015-01-01")
    chosen = parser.parse_args()
    rng = np.random.default_rng(chosen.seed)
    cube = itslive.open_cube(chosen.cube)
    block = max(cube.blocks(), key=lambda b: len(cube.read_block(b).pair))
    held = cube.read_block(block)
    count = np.diff(held.offsets).reshape(block.shape)
    rows, cols = np.nonzero(count >= 0.5 * count.max())
    pixels = list(zip((rows + block.row0).tolist(), (cols + block.col0).tolist(), strict=True))

    def dates():
        row, col = pixels[rng.integers(len(pixels))]
        return cube.pairs_in(held, cube.pixel(row, col)).select(start=chosen.start)

    errors, holds, found, widths = [], {"onset": [], "peak": [], "end": [], "size": []}, 0, []
    began = time.perf_counter()
    for number in range(chosen.surges):
        pairs = dates()
        first, last = pairs.start.min(), pairs.end.max()
        speed = rng.uniform(50.0, 300.0)
        rise, fall = np.exp(rng.uniform(np.log(30.0), np.log(250.0), 2)) * (1.0, 1.5)
        begin = rng.uniform(first + YEAR, last - YEAR - rise - fall)
        size, rounded = speed * rng.uniform(0.8, 5.0), rng.random() < 0.5
        still = quiet_truth(rng, speed)
        seen = observe(pairs, lambda t: still(t) + size * ramp(t, begin, rise, fall, rounded), rng, 3.0)  # noqa: B023
        events = itslive.detect_events(itslive.invert(seen, SETTINGS))
        days = np.arange(first, last, 0.25)
        onset, end = edge_day(days, ramp(days, begin, rise, fall, rounded))
        truth = {"onset": onset, "peak": begin + rise, "end": end, "size": size}
        if not events.sizes["event"]:
            continue
        best = events.isel(event=int(np.argmax(np.abs(events["size"].values))))

        def number_of(name):
            value = best[name].values  # noqa: B023
            return (
                float(value)
                if name.startswith("size")
                else (value - np.datetime64(0, "s")) / np.timedelta64(1, "D")
            )

        if not abs(number_of("peak") - truth["peak"]) < 300.0:
            continue
        found += 1
        errors.append(abs(number_of("onset") - onset))
        widths.append(number_of("onset_upper") - number_of("onset_lower"))
        for name, value in truth.items():
            holds[name].append(number_of(f"{name}_lower") <= value <= number_of(f"{name}_upper"))
        if (number + 1) % 10 == 0:
            print(f"{number + 1}: {np.nanmedian(errors):.1f} d, {np.mean(holds['onset']):.3f}", flush=True)
    if chosen.surges:
        each = (time.perf_counter() - began) / chosen.surges
        print(f"surges {chosen.surges}, found {found}, {each:.2f} s each")
        print(f"onset: median error {np.nanmedian(errors):.1f} d, median interval {np.median(widths):.0f} d")
        print(
            "intervals of 95 % hold: "
            + ", ".join(f"{name} {np.mean(held_):.3f}" for name, held_ in holds.items())
        )
    for name, speeds in (("quiet ice", (30.0, 300.0)), ("rock", (0.0, 0.0))):
        alarms, years = 0, 0.0
        for _ in range(chosen.quiet):
            pairs = dates()
            seen = observe(pairs, quiet_truth(rng, rng.uniform(*speeds)), rng, 3.0)
            alarms += itslive.detect_events(itslive.invert(seen, SETTINGS)).sizes["event"]
            years += (pairs.end.max() - pairs.start.min()) / YEAR
        if years:
            rate = 100 * alarms / years
            print(f"{name}: {alarms} false alarms in {years:.0f} years, {rate:.2f} in 100 years", flush=True)


if __name__ == "__main__":
    main()
