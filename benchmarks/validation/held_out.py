"""Real pairs held out: what the estimate foretells of them, beside TICOI and a Gaussian process.

Ours predicts a pair of span [a, b) and mission m along the flow f by f'(A v + what m adds). Its scale is

    s^2 = c^2 sigma^2 + f'(posterior covariance of the mean over the span) f + f'(variance of the offset) f

with sigma as learnt for the mission and the formal error of that pair. Degrees of freedom nu and the factor c
of a Student t are fitted to the training residuals over sigma, by mission and span as for TICOI. The
posterior is rebuilt here as one dense system from weights and smoothing of the solution, so that cells inside
gaps have one too; what the bands count beyond it is added, covariance of series and offset is left out.
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
from itslive_core.bands.changes import change_rows, changes
from itslive_core.inversion.learning.border import border_rows
from itslive_core.inversion.point import PointSolution, solve_point
from itslive_core.inversion.settings import InversionSettings
from itslive_core.inversion.smoothing import final_weights
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
    """The posterior of a solved pixel, dense, along the axes of the estimate.

    Parameters
    ----------
    solution : PointSolution
    axes : ndarray, shape (2, 2)
        Rows: the axes.
    mean : ndarray, shape (2, M)
        [m/yr]
    covariance : ndarray, shape (2, M, M)
        [m^2/yr^2]
    more : ndarray, shape (M,)
        What the bands count beyond it, mean of both components [m^2/yr^2].
    """

    solution: PointSolution
    axes: NDArray[np.float64]
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    more: NDArray[np.float64]

    @classmethod
    def of(cls, solution: PointSolution) -> _Posterior:
        pairs, learnt, grid = solution.pairs, solution.result.learnt, solution.shared.grid
        assert learnt is not None
        a, w = solution.shared.operator.to_dense(), final_weights(solution)
        order = solution.settings.derivative
        rows = change_rows(grid.interval, order, grid.size)
        own, against = (x.T for x in changes(rows, np.eye(grid.size)))
        alpha, beta = (
            (values[0, 1 : rows.size + 1] / grid.interval**order) ** 2
            for values in (learnt.profile, learnt.yearly)
        )
        penalty = (own.T * alpha) @ own + (against.T * beta) @ against
        data = a.T @ (w[:, None] * a)
        precision = float(np.mean(1.0 / learnt.sigma**2))
        angle = float(learnt.axis[0])
        axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        left = axes @ (np.array([pairs.vx, pairs.vy]) - _of_missions(solution, pairs))
        inverses = [np.linalg.inv(data + factor * penalty) for factor in (1.0, float(learnt.stiffer[0]) ** 2)]
        mean = np.array([n @ (a.T @ (w * d)) for n, d in zip(inverses, left, strict=True)])
        covariance = np.array(inverses) / precision
        plain = np.mean([np.diagonal(one) for one in covariance], axis=0)
        more = np.maximum(np.mean(solution.result.std[0] ** 2, axis=0) - plain, 0.0)
        more[~np.isfinite(more)] = np.nanmedian(more)
        return cls(solution, axes, mean, covariance, more)

    def predict(
        self, pairs: itslive.ImagePairs, flow: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Give mean, variance of the mean and variance of the noise along the flow, each of shape (m,)."""
        learnt = self.solution.result.learnt
        assert learnt is not None
        a = self.solution.shared.grid.operator(pairs.start, pairs.end).to_dense()
        mission = np.array([MISSIONS.index(m) for m in pairs.mission])
        mean = flow @ (self.axes.T @ self.mean @ a.T + _of_missions(self.solution, pairs))
        along = (self.axes @ flow) ** 2
        variance = sum(
            share * np.einsum("ij,ij->i", a @ own, a)
            for share, own in zip(along, self.covariance, strict=True)
        )
        variance += a @ self.more + (flow**2) @ np.nan_to_num(learnt.offset_std[0])[:, mission] ** 2
        known = np.where(np.isfinite(learnt.scale[0]))[0]
        own = np.where(np.isin(mission, known), mission, known[0])
        formal = (pairs.vx_error**2 + pairs.vy_error**2) / 2
        formal = np.where(np.isfinite(formal), formal, np.nanmedian(formal))
        noise = learnt.scale[0][own] ** 2 * (
            formal + learnt.floor[0][own] ** 2 + (learnt.jitter[0][own] * YEAR / pairs.span) ** 2
        )
        return mean, variance, noise


def _of_missions(solution: PointSolution, pairs: itslive.ImagePairs) -> NDArray[np.float64]:
    """Give what offsets and seasonal displacements of the missions add to pairs [m/yr], shape (2, m)."""
    learnt = solution.result.learnt
    assert learnt is not None
    mission = np.array([MISSIONS.index(m) for m in pairs.mission])
    waves = border_rows(pairs.start, pairs.end, mission, offsets=False, season=True).waves
    season = np.einsum("cjk,jk->cj", learnt.season[0][:, mission], waves)
    added: NDArray[np.float64] = learnt.offset[0][:, mission] + season
    return added


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
