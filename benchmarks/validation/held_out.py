"""Real pairs held out: what the estimate foretells of them, beside TICOI and a Gaussian process.

Ours predicts a pair of span [a, b) and mission m along the flow f by f'(A v + offset_m). Its scale is

    s^2 = c^2 sigma^2 + f'(posterior covariance of the mean over the span) f + f'(variance of the offset) f

with sigma as learnt for the mission and the formal error of that pair. Degrees of freedom nu and the factor c
of a Student t are fitted to the training residuals over sigma, by mission and span as for TICOI. The
posterior is rebuilt here as one dense system from weights and smoothing of the solution, so that cells inside
gaps have one too; covariance of series and offset is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from peers.sklearn_gp import along_flow, fit_predict, flow_direction
from peers.ticoi import Patch
from peers.ticoi_held_out import LEAST, groups, predict_ticoi
from scipy.stats import t as student

from benchmarks.validation.page import Table
from itslive_core.inversion.point import PointSolution, solve_point
from itslive_core.inversion.settings import InversionSettings
from itslive_core.inversion.smoothing import final_weights, penalty_shape
from itslive_core.observations.missions import MISSIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    import itslive_core as itslive

__all__ = ["held_out_table", "predict_ours"]

YEAR = 365.25
SHORT = 60.0
"""Pairs shorter than this are told apart [days]."""
GAPS = (2015.75, 2018.75, 2021.25)
"""Starts of the gaps, half a year each."""
_FREEDOMS = (2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 12.0, 20.0, 50.0)


@dataclass(frozen=True, eq=False)
class Foretold:
    """Predictions of pairs along the flow, shape (m,): mean, half of the 95 % interval, log density."""

    mean: NDArray[np.float64]
    half_width: NDArray[np.float64]
    log_density: NDArray[np.float64]


def random_pairs(pairs: itslive.ImagePairs) -> NDArray[np.bool_]:
    """Hold out a fifth of the pairs."""
    return np.random.default_rng(1).random(len(pairs)) < 0.2


def whole_images(pairs: itslive.ImagePairs) -> NDArray[np.bool_]:
    """Hold out a tenth of the images, with every pair that has one of them."""
    images = np.unique(np.concatenate([pairs.start, pairs.end]))
    out = images[np.random.default_rng(2).random(len(images)) < 0.1]
    return np.isin(pairs.start, out) | np.isin(pairs.end, out)


def half_years(pairs: itslive.ImagePairs) -> NDArray[np.bool_]:
    """Hold out every pair with an image inside one of `GAPS`; pairs that bridge one stay."""
    out = np.zeros(len(pairs), dtype=bool)
    for first in GAPS:
        low, high = (first - 1970) * YEAR, (first + 0.5 - 1970) * YEAR
        for image in (pairs.start, pairs.end):
            out |= (image >= low) & (image < high)
    return out


SPLITS: dict[str, Callable[[itslive.ImagePairs], NDArray[np.bool_]]] = {
    "random 20 %": random_pairs,
    "images out": whole_images,
    "6-month gaps": half_years,
}


@dataclass(frozen=True, eq=False)
class _Posterior:
    """The posterior of a solved pixel, dense: mean of shape (2, M), N^-1 of (M, M), variance of weight 1."""

    solution: PointSolution
    mean: NDArray[np.float64]
    inverse: NDArray[np.float64]
    scatter: float

    @classmethod
    def of(cls, solution: PointSolution) -> _Posterior:
        settings, pairs, learnt = solution.settings, solution.pairs, solution.result.learnt
        assert learnt is not None
        grid, k = solution.shared.grid, settings.derivative
        a, w = solution.shared.operator.to_dense(), final_weights(solution)
        d = np.diff(np.eye(grid.size), n=k, axis=0)
        alpha = (solution.result.smoothing[0] / grid.interval**k) ** 2 * penalty_shape(solution)
        data = a.T @ (w[:, None] * a)
        inverse = np.linalg.inv(data + (d.T * alpha) @ d)
        left = np.array([pairs.vx, pairs.vy]) - learnt.offset[0][:, solution.shared.mission]
        mean = (inverse @ (a.T @ (w * left).T)).T
        freedom = np.sum(solution.result.robust_weights * learnt.credit) - np.sum(inverse * data)
        scatter = float(np.sum(w * (left - mean @ a.T) ** 2) / (2 * freedom))
        return cls(solution, mean, inverse, scatter)

    def predict(
        self, pairs: itslive.ImagePairs, flow: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Give mean, variance of the mean and variance of the noise along the flow, each of shape (m,)."""
        learnt = self.solution.result.learnt
        assert learnt is not None
        a = self.solution.shared.grid.operator(pairs.start, pairs.end).to_dense()
        mission = np.array([MISSIONS.index(m) for m in pairs.mission])
        mean = flow @ (self.mean @ a.T + learnt.offset[0][:, mission])
        variance = self.scatter * np.einsum("ij,ij->i", a @ self.inverse, a)
        variance += (flow**2) @ np.nan_to_num(learnt.offset_std[0])[:, mission] ** 2
        known = np.where(np.isfinite(learnt.scale[0]))[0]
        own = np.where(np.isin(mission, known), mission, known[0])
        formal = (pairs.vx_error**2 + pairs.vy_error**2) / 2
        formal = np.where(np.isfinite(formal), formal, np.nanmedian(formal))
        noise = learnt.scale[0][own] ** 2 * (
            formal + learnt.floor[0][own] ** 2 + (learnt.jitter[0][own] * YEAR / pairs.span) ** 2
        )
        return mean, variance, noise


def predict_ours(train: itslive.ImagePairs, test: itslive.ImagePairs) -> Foretold:
    """Fit with the recommended settings and predict others.

    Parameters
    ----------
    train, test : ImagePairs

    Returns
    -------
    Foretold
        NaN for pairs that reach outside the dates of those that are used.
    """
    posterior = _Posterior.of(solve_point(train, InversionSettings()))
    flow = flow_direction(train)
    known = _within(test, posterior.solution.pairs)
    mean, variance, noise = (np.full(len(test), np.nan) for _ in range(3))
    mean[known], variance[known], noise[known] = posterior.predict(test.take(known), flow)
    inside = train.take(_within(train, posterior.solution.pairs))
    fitted, _, assumed = posterior.predict(inside, flow)
    normalised = (along_flow(inside, flow) - fitted) / np.sqrt(assumed)
    freedom, factor = (np.full(len(test), x) for x in _fit_student(normalised))
    own, asked = groups(inside), groups(test)
    for group in np.unique(asked):
        if (own == group).sum() >= LEAST:
            freedom[asked == group], factor[asked == group] = _fit_student(normalised[own == group])
    scale = np.sqrt(factor**2 * noise + variance)
    density = student.logpdf(along_flow(test, flow) - mean, freedom, scale=scale)
    return Foretold(mean, student.ppf(0.975, freedom) * scale, density)


def held_out_table(cube: itslive.Datacube, pixels: Mapping[str, itslive.ImagePairs], *, ticoi: bool) -> Table:
    """Compare over splits and pixels.

    Parameters
    ----------
    cube : Datacube
    pixels : mapping of str to ImagePairs
    ticoi : bool
        TICOI's environment is there.
    """
    rows = []
    for place, pairs in pixels.items():
        for split, choose in SPLITS.items():
            out = choose(pairs)
            train, test = pairs.take(~out), pairs.take(out)
            flow = flow_direction(train)
            methods: dict[str, Any] = {"ours": predict_ours(train, test)}
            if ticoi:
                methods["TICOI"] = predict_ticoi(train, test, patch=Patch.around(cube, train))
            methods["scikit-learn GP"] = fit_predict(train, test)
            # What a method cannot predict is left out for all.
            common = np.all([np.isfinite(m.mean) for m in methods.values()], axis=0)
            short = common & (test.span < SHORT)
            truth = along_flow(test, flow)
            for name, method in methods.items():
                rows.append(
                    (place, split, name, str(short.sum()), *_judge(method, truth, short), str(common.sum()),
                     *_judge(method, truth, common))
                )  # fmt: skip
    return Table(
        (
            "pixel", "held out", "method", "pairs < 60 d", "NLPD", "RMSE", "MAE", "coverage",
            "all pairs", "NLPD", "RMSE", "MAE", "coverage",
        ),
        rows,
    )  # fmt: skip


def _judge(
    method: Foretold, truth: NDArray[np.float64], keep: NDArray[np.bool_]
) -> tuple[str, str, str, str]:
    error = np.abs(truth - method.mean)[keep]
    return (
        f"{-np.mean(method.log_density[keep]):.3f}",
        f"{np.sqrt(np.mean(error**2)):.0f}",
        f"{np.mean(error):.1f}",
        f"{np.mean(error < method.half_width[keep]):.3f}",
    )


def _within(pairs: itslive.ImagePairs, others: itslive.ImagePairs) -> NDArray[np.bool_]:
    return (pairs.start >= others.start.min()) & (pairs.end <= others.end.max())


def _fit_student(normalised: NDArray[np.float64]) -> tuple[float, float]:
    """Give degrees of freedom and scale of highest likelihood; the scale by the usual reweighting."""
    best = (-np.inf, 4.0, 1.0)
    for nu in _FREEDOMS:
        variance = float((np.median(np.abs(normalised)) / student.ppf(0.75, nu)) ** 2)
        for _ in range(100):
            variance = float(np.mean((nu + 1) / (nu + normalised**2 / variance) * normalised**2))
        likelihood = float(np.sum(student.logpdf(normalised, nu, scale=np.sqrt(variance))))
        best = max(best, (likelihood, nu, float(np.sqrt(variance))))
    return best[1], best[2]
