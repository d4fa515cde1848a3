"""The last equations of pixels that learn together: on a device, and on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from itslive_core.bands.algebra import PAD, blank_band
from itslive_core.inversion.learning.last_solve import lower_band, means_in_band
from itslive_core.inversion.prepare import filter_block
from itslive_core.inversion.regions import solve_together
from itslive_core.inversion.settings import InversionSettings
from tests.inversion.simulated_block import SimulatedBlock

if TYPE_CHECKING:
    from itslive_core.inversion.solver import BatchResult


@pytest.fixture(scope="module")
def simulated() -> SimulatedBlock:
    return SimulatedBlock()


def solved(simulated: SimulatedBlock, settings: InversionSettings) -> BatchResult:
    shared = simulated.shared(settings)
    used = filter_block(simulated.block, shared, settings)
    return solve_together(shared, simulated.block, used, settings)


@pytest.mark.parametrize("memory", [None, 1])
@pytest.mark.parametrize("changes", [{}, {"derivative": 1}, {"interval": 30.0}], ids=str)
def test_a_device_ends_as_the_cpu_does(simulated, monkeypatch, changes, memory):
    pytest.importorskip("torch")
    from itslive_core.inversion.torch.last_solve import TorchFinisher

    finished = []

    class Finisher(TorchFinisher):
        def finish(self, equations, reach):
            finished.append(len(equations))
            return super().finish(equations, reach)

    monkeypatch.setattr("itslive_core.inversion.prepare.require_cuda", lambda: None)
    monkeypatch.setattr(
        "itslive_core.inversion.prepare.TorchFinisher", lambda: Finisher("cpu", memory=memory)
    )
    expected = solved(simulated, InversionSettings(**changes))
    found = solved(simulated, InversionSettings(**changes, device="cuda"))
    assert finished[0] == len(simulated.speed)
    assert np.array_equal(found.status, expected.status)
    assert np.isfinite(expected.std).any()
    speed = np.nanmax(np.abs(expected.values))
    # Where ice hardly changes the matrices have a condition of 1e10: both are as far from the exact solution.
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=1e-6 * speed)
    np.testing.assert_allclose(found.std, expected.std, rtol=1e-5)
    np.testing.assert_allclose(found.learnt.offset_std, expected.learnt.offset_std, rtol=1e-5)


def test_a_short_record_takes_nothing_from_the_means_of_others(simulated, monkeypatch):
    pytest.importorskip("torch")
    from itslive_core.inversion.torch.last_solve import TorchFinisher

    monkeypatch.setattr("itslive_core.inversion.prepare.require_cuda", lambda: None)
    monkeypatch.setattr("itslive_core.inversion.prepare.TorchFinisher", lambda: TorchFinisher("cpu"))
    early = simulated.pairs.end[simulated.block.pair] < simulated.pairs.start.min() + 130.0
    first = np.arange(len(early)) < simulated.block.offsets[1]
    short = SimulatedBlock()
    short.block = simulated.block.keep_observations(early | ~first)
    expected = solved(short, InversionSettings(interval=365.0))
    found = solved(short, InversionSettings(interval=365.0, device="cuda"))
    np.testing.assert_allclose(found.std, expected.std, rtol=1e-4)


@pytest.mark.parametrize(("size", "width"), [(1, 0), (5, 4), (9, 3)])
def test_a_band_is_read_by_rows(size, width):
    rng = np.random.default_rng(size)
    band = blank_band(size, width)
    band.entries[:] = rng.normal(size=band.entries.shape)
    rows = band.entries[: size * (width + 1 + PAD)].reshape(size, -1)
    found = lower_band(band)
    for j in range(size):
        for o in range(min(width, j) + 1):
            assert found[j, width - o] == rows[j - o, o]
    assert np.isfinite(found).all()


@pytest.mark.parametrize("reach", [2, 4])
def test_variances_of_means_are_those_of_the_whole_covariance(reach):
    rng = np.random.default_rng(reach)
    root = rng.normal(size=(11, 11))
    covariance = root @ root.T
    groups = np.array([0, 1, 1, 1, 2, 2, 3, 3, 3, 4, 4])
    band = np.zeros((11, reach + 1))
    for o in range(reach + 1):
        band[o:, reach - o] = np.diagonal(covariance, -o)
    means = np.equal.outer(np.arange(5), groups) / np.bincount(groups)[:, None]
    np.testing.assert_allclose(means_in_band(band, groups), np.diag(means @ covariance @ means.T))
