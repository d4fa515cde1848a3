"""The batched arrowhead solver must be the one of single pixels, on torch's CPU device as on any other."""

from __future__ import annotations

import numpy as np
import pytest

from itslive_core import GaussianProcessSettings, ImagePairs
from itslive_core.gaussian_process import block as gp_block
from itslive_core.gaussian_process.arrowhead import Border, NotPositiveError, Posterior, solve_arrowhead
from itslive_core.gaussian_process.data import PixelData
from itslive_core.gaussian_process.dataset import series_columns
from itslive_core.gaussian_process.fit import solve_with
from itslive_core.gaussian_process.model import KernelShape
from itslive_core.gaussian_process.torch_arrowhead import ArrowheadPixels, TorchArrowhead
from itslive_core.gaussian_process.torch_batch import solve_many
from itslive_core.observations.blocks import Block, PixelBlock
from itslive_core.observations.shared_pairs import SharedPairs
from itslive_core.observations.time_grid import TimeGrid
from tests.gaussian_process.hyperparameters import VALUES
from tests.simulate import network

pytest.importorskip("torch")


class Case:
    """Three pixels on one grid: one misses a mission, one sees the last year only."""

    def __init__(self, interval: float, *, trend: bool, harmonics: int) -> None:
        rng = np.random.default_rng(5)
        start, end = network(rng, 300, length=1200, longest=250)
        end[:4] = start[:4] + 1.0  # inside a cell, most of them
        self.grid = TimeGrid.covering(start, end, interval)
        keep = [np.arange(0, 120), np.arange(100, 300), np.flatnonzero(start > 17_800)]
        every = np.concatenate(keep)
        self.start, self.end = start[every], end[every]
        self.operator = self.grid.operator(self.start, self.end)
        self.offsets = np.cumsum([0, *(len(k) for k in keep)])
        mission = rng.integers(0, 3, len(every))
        mission[: len(keep[0])] %= 2
        self.columns = np.stack([np.ones(len(every)), mission == 1, mission == 2]).astype(float)
        self.y = np.sin(start[every] / 58) + rng.normal(size=len(every))
        self.weights = rng.uniform(1, 30, len(every))
        self.prior = np.array([[100.0, 0.04, 1.0], [100.0, 0.04, 0.09], [100.0, 0.5, 0.09]])
        self.shape = KernelShape(interval, trend, harmonics)
        reach = int(np.max(self.operator.last - self.operator.first)) + 2
        self.layout = self.shape.layout(self.grid, reach)
        self.latent = self.shape.latent({name: VALUES[name] for name in self.shape.names})
        self.data = ArrowheadPixels(self.offsets, self.operator, self.y, self.columns, self.prior)

    def one(self, p: int) -> Posterior:
        here = slice(self.offsets[p], self.offsets[p + 1])
        operator = self.operator.take(np.arange(here.start, here.stop))
        columns, prior = self.columns[:, here], self.prior[p]
        used = np.any(columns != 0, axis=1)
        border = Border(np.ascontiguousarray(columns[used]), prior[used])
        return solve_arrowhead(
            self.layout, self.latent, operator, self.y[here], self.weights[here], border, variances=True
        )


@pytest.mark.parametrize(
    ("interval", "trend", "harmonics"),
    [(12.0, True, 4), (12.0, True, 0), (24.0, False, 2), (30.0, False, 0)],
)
def test_equals_the_solver_of_single_pixels(interval: float, trend: bool, harmonics: int) -> None:
    case = Case(interval, trend=trend, harmonics=harmonics)
    found = TorchArrowhead("cpu").solve(case.layout, case.latent, case.data, case.weights)
    mean, variance = found.series()
    for p in range(3):
        expected = case.one(p)
        here = slice(case.offsets[p], case.offsets[p + 1])
        assert found.log_evidence[p] == pytest.approx(expected.log_evidence, rel=1e-11, abs=1e-8)
        np.testing.assert_allclose(found.v[p], expected.mean.v, rtol=0, atol=1e-9)
        np.testing.assert_allclose(found.residuals[here], expected.residuals, rtol=0, atol=1e-9)
        np.testing.assert_allclose(found.fit_variance[here], expected.fit_variance, rtol=0, atol=1e-9)
        used = np.any(case.columns[:, here] != 0, axis=1)
        np.testing.assert_allclose(found.beta[p, used], expected.beta, rtol=0, atol=1e-9)
        np.testing.assert_allclose(found.beta_cov[p][np.ix_(used, used)], expected.beta_cov, atol=1e-9)
        np.testing.assert_allclose(found.v_sensitivity[p, used], expected.sensitivity.v, rtol=0, atol=1e-9)
        sensitivity = expected.sensitivity.v.copy()
        sensitivity[0] -= 1.0
        whole = expected.known.rough[:, 0] + np.sum(sensitivity * (expected.beta_cov @ sensitivity), axis=0)
        np.testing.assert_allclose(mean[p], expected.mean.v + expected.beta[0], rtol=0, atol=1e-9)
        np.testing.assert_allclose(variance[p], whole, rtol=0, atol=1e-9)


def test_the_result_does_not_depend_on_the_batches() -> None:
    case = Case(24.0, trend=True, harmonics=1)
    together = TorchArrowhead("cpu").solve(case.layout, case.latent, case.data, case.weights)
    apart = TorchArrowhead("cpu", memory=1).solve(case.layout, case.latent, case.data, case.weights)
    np.testing.assert_allclose(apart.v, together.v, rtol=0, atol=1e-12)
    np.testing.assert_allclose(apart.fit_variance, together.fit_variance, rtol=0, atol=1e-12)


def test_numbers_out_of_range_are_refused() -> None:
    case = Case(24.0, trend=False, harmonics=0)
    with pytest.raises(NotPositiveError):
        TorchArrowhead("cpu").solve(case.layout, case.latent, case.data, np.nan * case.weights)


def pixels_of(case: Case) -> list[PixelData]:
    """Turn the pairs of a case into pixels, with outliers."""
    rng = np.random.default_rng(9)
    out = []
    for p in range(3):
        rows = np.arange(case.offsets[p], case.offsets[p + 1])
        n = len(rows)
        mission = np.where(case.columns[1, rows] > 0, 1, np.where(case.columns[2, rows] > 0, 3, 0))
        vx = 120 + 30 * case.y[rows]
        vx[::17] += rng.normal(0, 900, len(vx[::17]))
        out.append(
            PixelData.make(
                case.start[rows],
                case.end[rows],
                vx,
                40 + 10 * rng.normal(size=n),
                rng.uniform(1, 9, n),
                rng.uniform(1, 9, n),
                mission,
            )
        )
    return out


@pytest.mark.parametrize("offsets", [True, False])
def test_robust_fits_equal_those_of_single_pixels(offsets: bool) -> None:
    case = Case(12.0, trend=True, harmonics=2)
    pixels = pixels_of(case)
    known = {name: VALUES[name] for name in case.shape.names} | {"noise_floor": 0.2, "noise_factor_S1": 1.3}
    values = known | {"minor_ratio": 0.4, "offset_scale": 0.2}
    found, *_ = solve_many(
        pixels, case.grid, case.shape, values, case.layout, TorchArrowhead("cpu"), offsets=offsets, turns=2
    )
    for p, data in enumerate(pixels):
        missions = data.offset_missions() if offsets else ()
        fit = solve_with(
            data, case.grid, case.shape, values, missions, turns=2, layout=case.layout, jumpy=False
        )
        expected = series_columns(fit, case.grid.size)
        scale = np.abs(expected["v"]).max()
        for name, series in found.items():
            limit = 1e-9 * (scale**2 if name == "vx_vy_cov" else scale)
            np.testing.assert_allclose(series[p], expected[name], rtol=0, atol=limit)


def test_a_block_on_the_device_equals_the_block_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(12.0, trend=True, harmonics=2)
    settings = GaussianProcessSettings(harmonics=2, outliers="none")
    known = {name: VALUES[name] for name in case.shape.names} | {"noise_floor": 0.2}
    n = len(case.y)
    few = 3  # a pixel with too few pairs, between the others
    offsets = np.array([0, case.offsets[1], case.offsets[1] + few, case.offsets[2], n])
    mission = np.where(case.columns[1] > 0, "S2", "L8_9")
    error = np.full(n, 4.0)
    pairs = ImagePairs.from_arrays(
        case.start, case.end, 100 * case.y, 20 * case.y, vx_error=error, vy_error=error, mission=mission
    )
    shared = SharedPairs.make(pairs, np.ones(n, dtype=bool), case.grid)
    vx, vy = pairs.vx.astype("float32"), pairs.vy.astype("float32")
    block = PixelBlock(
        Block(0, 2, 0, 2), offsets, np.arange(n, dtype=np.int32), vx, vy, np.zeros(4, dtype=np.int32)
    )
    monkeypatch.setattr(gp_block, "_learn", lambda *_: known)
    expected = gp_block.fit_block(block, shared, settings)
    calls: list[tuple[int, float]] = []

    def pick(device: str, pixels: int, work: float) -> str:
        calls.append((pixels, work))
        return "cuda"

    monkeypatch.setattr(gp_block, "pick_device", pick)
    monkeypatch.setattr(gp_block, "TorchArrowhead", lambda: TorchArrowhead("cpu"))
    found = gp_block.fit_block(block, shared, settings)
    assert [pixels for pixels, _ in calls] == [3]
    np.testing.assert_array_equal(found.count, expected.count)
    for name, values in found.columns.items():
        assert np.isfinite(values).all()
        scale = np.abs(expected.columns["v"]).max()
        np.testing.assert_allclose(values, expected.columns[name], rtol=0, atol=1e-9 * scale)
