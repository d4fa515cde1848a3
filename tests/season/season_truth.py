"""Image pairs of known seasons, for tests."""

from __future__ import annotations

import numpy as np

import itslive_core as itslive

YEAR = 365.25
ORIGIN = 10_957.0  # 1 January 2000
TURN = 2.0 * np.pi
DIRECTION = np.array([0.8, 0.6])
PLAIN = itslive.InversionSettings(outliers="none")


def dates(rng, n, first=2013.0, last=2022.0, spans=(6.0, 60.0)):
    """Draw random pairs: start and end [days since 1970-01-01]."""
    start = ORIGIN + YEAR * rng.uniform(first - 2000, last - 2000, n)
    return start, start + rng.uniform(*spans, n)


def network(rng, n, years=(13, 22), longest=400.0):
    """Draw pairs of images that many pairs share: every 5 to 20 days, few in winter."""
    image = ORIGIN + YEAR * years[0] + np.cumsum(rng.uniform(5, 20, 1000))
    image = image[image < ORIGIN + YEAR * years[1]]
    season = np.cos(TURN * ((image - ORIGIN) / YEAR - 0.5))
    image = image[rng.random(len(image)) < 0.65 + 0.3 * season]
    a, b = (grid.ravel() for grid in np.meshgrid(image, image))
    pairs = np.flatnonzero((b > a) & (b - a < longest))
    chosen = rng.choice(pairs, n, replace=False)
    return a[chosen], b[chosen]


def mean_over(start, end, speed):
    """Average a speed, given as a function of years since 2000, over spans."""
    a, b = (start - ORIGIN) / YEAR, (end - ORIGIN) / YEAR
    step = 0.5 / YEAR
    edges = np.arange(a.min() - step, b.max() + 2 * step, step)
    total = np.concatenate(([0.0], np.cumsum(speed(edges[:-1] + step / 2) * step)))
    return (np.interp(b, edges, total) - np.interp(a, edges, total)) / (b - a)


def sinusoid(start, end, amplitude, day):
    """Average amplitude cos(2 pi (t - t_max)) over spans, from its primitive."""
    a, b, top = (start - ORIGIN) / YEAR, (end - ORIGIN) / YEAR, day / YEAR
    return amplitude * (np.sin(TURN * (b - top)) - np.sin(TURN * (a - top))) / (TURN * (b - a))


def make_pairs(start, end, along, noise=0.0, error=10.0, across=0.0):
    """Make pairs of a motion along a fixed direction, and noise of shape (2, n)."""
    v = along * DIRECTION[:, None] + across * np.array([-DIRECTION[1], DIRECTION[0]])[:, None] + noise
    error = np.broadcast_to(error, start.shape)
    return itslive.ImagePairs.from_arrays(
        start, end, *v, vx_error=error, vy_error=error, mission=["S2"] * len(start)
    )


def circular(days):
    return (np.asarray(days) + YEAR / 2) % YEAR - YEAR / 2
