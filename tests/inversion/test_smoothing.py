"""The criteria as curves."""

from __future__ import annotations

import numpy as np
import pytest

import itslive_core as itslive
from itslive_core import InversionSettings
from itslive_core.errors import SelectionError
from tests.simulate import network, simulate


def make(n: int = 500) -> itslive.ImagePairs:
    rng = np.random.default_rng(1)
    start, end = network(rng, n, longest=150)
    return simulate(lambda t: 300 + 80 * np.sin(t / 58), start, end, noise=lambda d: 300 / d + 3, rng=rng)


@pytest.mark.parametrize(("name", "choice"), [("evidence", "evidence"), ("gcv", "gcv")])
def test_the_minimum_of_the_curve_is_the_choice(name: str, choice: str) -> None:
    pairs = make()
    settings = InversionSettings(
        smoothing=choice, robust=False, noise="formal", offsets="none", smoothing_in_time="constant"
    )
    curve = itslive.smoothing_curve(pairs, settings, smoothing=np.geomspace(1, 1e5, 400))
    best = float(curve[name].idxmin())
    assert itslive.invert(pairs, settings).attrs["smoothing_used"] == pytest.approx(best, rel=0.05)


@pytest.mark.parametrize("interval", [7.0, 12.0, 60.0])
def test_the_minimum_of_the_curve_of_auto_is_near_the_choice(interval: float) -> None:
    """That of the whole prior; the choice also frowns on series that vary by several times their speed."""
    pairs, settings = make(), InversionSettings(interval=interval)
    curve = itslive.smoothing_curve(pairs, settings)
    assert np.isfinite(curve["gcv"]).all()
    assert float(curve["evidence"].idxmin()) == pytest.approx(curve.attrs["smoothing_used"], rel=0.7)


def test_by_default_the_curve_spans_what_auto_searches() -> None:
    curve = itslive.smoothing_curve(make())
    assert curve.sizes["smoothing"] == 40
    assert np.isfinite(curve["evidence"]).all()
    assert np.isfinite(curve["gcv"]).all()
    assert 0 < int(np.argmin(curve["evidence"].values)) < 39


def test_too_few_pairs_are_an_error() -> None:
    with pytest.raises(SelectionError, match="too few pairs"):
        itslive.smoothing_curve(make().take(np.arange(3)))
