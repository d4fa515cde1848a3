"""The CPU solver that learns while it solves: noise, mission offsets, and smoothness that changes in time.

The posterior is that of the band solver with weights u_j c_j / sigma_j^2. From its residuals come, pass by
pass, the robust weights u (Tukey's bisquare), the noise sigma of each mission and the credit c of pairs that
share images (`noise_model`), the offsets of missions (`mission_offsets`) and the penalty of each difference
(`roughness`).

An automatic lambda is the larger of two choices, given the shape of the penalty: that of highest evidence and
that of least generalised cross-validation. Each errs to the rough side where its assumption fails: the
evidence where the truth is smoother than a random walk, cross-validation where noise is correlated. Of three
shapes (constant, by years, by years and months) the one of least cross-validation score is taken.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.compiled import kernel
from itslive_core.solvers.band_algebra import PAD, factorise, selected_inverse, solve
from itslive_core.solvers.band_assembly import assemble, cover
from itslive_core.solvers.base import (
    FAILED,
    MAX_PASSES,
    MOVE_TOLERANCE,
    NO_FREEDOM,
    SOLVED,
    TOO_FEW,
    BatchResult,
    Learnt,
    PixelBatch,
    SolveOptions,
    needed_pairs,
    smoothing_limits,
)
from itslive_core.solvers.mission_offsets import active_missions, solve_offsets
from itslive_core.solvers.noise_model import (
    CORE_VARIANCE,
    give_credit,
    image_correlation,
    leverage,
    mission_noise,
)
from itslive_core.solvers.penalty import add_penalty, penalty_trace
from itslive_core.solvers.pixel_fit import enough, refine, residuals, reweight
from itslive_core.solvers.roughness import NONZERO, design, fit_roughness, n_columns
from itslive_core.solvers.smoothing_search import EVIDENCE, FIXED, GCV, Problem, criterion, search

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LearningSolver"]

_STIFF, _STIFFEST = 1e3, 1e12
_FIRST_SHAPE, _CHOICE = 2, 4
"""Passes at which the shape of the penalty is first fitted, and at which the choice is made for good."""
_PRICE = 12.0
"""What each part of a changing shape, of about twelve numbers, must gain in the score of cross-validation."""
_MOST_PULL = 0.95
_TAU_PAIRS = 2.0
_LEAST_TO_LEARN = 40
"""Pairs below which the noise is taken as the formal errors say and missions are taken to agree."""
_LEAST_FOR_SHAPE = 60
"""Pairs and differences below which the penalty keeps its shape."""


class Task(NamedTuple):
    """What is asked for, see `SolveOptions`; ``guard``: lambda must not be below that of highest evidence."""

    order: int
    needed: int
    interval: float
    first_time: float
    kind: int
    guard: bool
    log_smoothing: float
    low: float
    high: float
    robust: bool
    uncertainty: bool
    noise: bool
    offsets: bool
    vary: bool
    images: int


class Rows(NamedTuple):
    """The observations of one pixel: rows of the span operator, values, and what their noise depends on."""

    first: NDArray
    last: NDArray
    head: NDArray
    tail: NDArray
    rate: NDArray
    vx: NDArray
    vy: NDArray
    formal: NDArray
    mission: NDArray
    first_image: NDArray
    second_image: NDArray


class Found(NamedTuple):
    """What is learnt at one pixel; slices of the arrays of `Learnt`, changed in place."""

    u: NDArray
    credit: NDArray
    variance: NDArray
    scale: NDArray
    floor: NDArray
    offset: NDArray
    offset_std: NDArray
    profile: NDArray


@kernel(error_model="numpy")
def _choose(
    problem: Problem, task: Task, columns: NDArray, values: NDArray, vary: bool, level: float, theta: NDArray
) -> float:  # pragma: no cover - compiled
    """Choose among the shapes of the penalty and the levels of lambda, for good."""
    best, chosen = np.inf, np.nan
    shape = problem.shape.copy()
    other = np.zeros_like(theta)
    for candidate in range(3 if vary else 1):
        problem.shape[:] = 1.0
        if candidate == 0:
            x = search(problem, task.low, task.high, level)
        else:
            other[:] = theta
            x = fit_roughness(problem, columns, values, True, candidate == 2, level, other, 12)
        if np.isnan(x):
            continue
        x = min(max(x, task.low), task.high)
        # Shapes are compared by cross-validation, however lambda is chosen.
        judge = Problem(
            GCV, problem.normal, problem.work, problem.z, problem.rhs, problem.solution, problem.squares,
            problem.n, problem.size, problem.width, problem.order, problem.scale, problem.shape,
        )  # fmt: skip
        if task.guard or task.kind == GCV:
            x = search(judge, x if task.guard else task.low, task.high, x)
        score = criterion(judge, x) + candidate * _PRICE
        if score < best:
            best, chosen = score, x
            shape[:] = problem.shape
    problem.shape[:] = shape
    return chosen


@kernel(error_model="numpy")
def _learn(
    rows: Rows, task: Task, found: Found, now: NDArray, std: NDArray, facts: NDArray
) -> int:  # pragma: no cover
    """Estimate one pixel on its own range of cells.

    ``facts`` receives lambda, effective degrees of freedom, passes and the correlation of images.
    """
    first, last, head, tail, rate = rows.first, rows.last, rows.head, rows.tail, rows.rate
    size = now.shape[1]
    order = task.order
    width = max(order, (last - first).max())
    n = len(first)
    scale = task.interval**order
    room = size + 2
    normal = np.empty(room * (width + 1 + PAD))
    factor = np.empty_like(normal)
    work = np.empty_like(normal)
    z = np.empty(room * (2 * width + 1))
    rhs, solution, before = np.empty((2, size)), np.empty((2, size)), np.empty((2, size))
    rx, ry, w = np.empty(n), np.empty(n), np.empty(n)
    dx, dy, q, pull = rows.vx.copy(), rows.vy.copy(), np.empty(n), np.empty(n)
    squares = np.empty(2)
    shape = np.ones(size)
    extra = np.zeros(size)
    u, credit, variance, offset = found.u, found.credit, found.variance, found.offset
    missions = offset.shape[1]
    column = np.full(missions, -1)
    b, s_inverse = np.zeros((2, missions)), np.zeros((missions, missions))
    tau2, scatter, freedom, rho = 0.0, np.full(2, np.nan), 0.0, 0.0
    # What offsets are expected to be before any is seen: 2 m/yr and 2 % of the speed.
    expected = (2.0 + 0.02 * np.hypot(np.median(rows.vx), np.median(rows.vy))) ** 2
    noisy, offsetting = task.noise and n >= _LEAST_TO_LEARN, task.offsets and n >= _LEAST_TO_LEARN
    vary = task.vary and n >= _LEAST_FOR_SHAPE and size - order >= _LEAST_FOR_SHAPE
    columns = np.empty((size - order if vary else 0, NONZERO), dtype=np.int64)
    values = np.empty((len(columns), NONZERO))
    theta = np.zeros(n_columns(len(columns), task.interval))
    if vary:
        design(task.first_time, task.interval, order, columns, values)
    choice = task.log_smoothing
    choosing = task.kind != FIXED
    shaping = vary
    passes = 0
    for turn in range(MAX_PASSES + 3):
        norm = 1.0 / np.mean(1.0 / variance)
        for j in range(n):
            w[j] = u[j] * credit[j] * norm / variance[j]
            dx[j] = rows.vx[j] - offset[0, rows.mission[j]]
            dy[j] = rows.vy[j] - offset[1, rows.mission[j]]
        worth = (u * credit).sum()
        assemble(first, last, head, tail, rate, w, dx, dy, size, width, normal, rhs)
        if choosing or shaping:
            squares[0], squares[1] = (w * dx * dx).sum(), (w * dy * dy).sum()
            problem = Problem(
                task.kind, normal, work, z, rhs, solution, squares, worth, size, width, order, scale, shape
            )
            fixed = choice
            if turn < _FIRST_SHAPE:
                if choosing:
                    choice = search(problem, task.low, task.high, choice)
            elif turn < _CHOICE or not choosing:
                if shaping:
                    level = fit_roughness(
                        problem, columns, values, True, True, choice, theta, 8 if turn == _FIRST_SHAPE else 3
                    )
                    if choosing:
                        choice = min(max(level, task.low), task.high)
                elif choosing:
                    choice = search(problem, task.low, task.high, choice)
            else:
                choice = _choose(problem, task, columns, values, vary, choice, theta)
            if not choosing:
                choice = fixed
            if turn >= _CHOICE:
                choosing = shaping = False
        data_part = 0.0
        for i in range(size):
            data_part += normal[i * (width + 1 + PAD)] / size
        alpha = min((10.0**choice / scale) ** 2, _STIFFEST * data_part)
        factor[:] = normal
        add_penalty(factor, size, width, order, alpha, shape)
        if np.isnan(choice) or not factorise(factor, size, width):
            return FAILED
        now[:] = rhs
        solve(factor, size, width, now)
        residuals(first, last, head, tail, rate, dx, dy, now, rx, ry)
        if alpha > _STIFF * data_part:
            refine(first, last, head, tail, rate, w, dx, dy, order, alpha, shape, factor, width, now, rx, ry)
        # The prior of the offsets needs the noise, so they start after the first pass.
        active = 0
        if offsetting and turn > 0 and scatter[0] + scatter[1] > 0.0:
            active = active_missions(rows.mission, u, column)
        if active > 0:
            if tau2 == 0.0:
                tau2 = expected
            kappa = np.nanmean(scatter) / tau2
            # What is found here corrects the offsets that were taken from dx and dy before.
            solve_offsets(
                first, last, head, tail, rate, w, dx, dy, rows.mission, column, active, kappa, factor, width,
                offset, now, b, s_inverse, extra,
            )  # fmt: skip
            for m in range(missions):
                for k in range(2):
                    offset[k, m] = offset[k, m] + b[k, column[m]] if column[m] >= 0 else 0.0
            for j in range(n):
                dx[j] = rows.vx[j] - offset[0, rows.mission[j]]
                dy[j] = rows.vy[j] - offset[1, rows.mission[j]]
            residuals(first, last, head, tail, rate, dx, dy, now, rx, ry)
        selected_inverse(factor, size, width, z)
        freedom = size - alpha * penalty_trace(z, size, width, order, shape) + active
        left = worth - freedom
        for k in range(2):
            r = rx if k == 0 else ry
            scatter[k] = (w * r * r).sum() / left if left > 0.0 else np.nan
        if active > 0:
            total = _TAU_PAIRS * expected
            for m in range(missions):
                if column[m] >= 0:
                    for k in range(2):
                        total += offset[k, m] ** 2 + scatter[k] * s_inverse[column[m], column[m]]
            tau2 = total / (_TAU_PAIRS + 2.0 * active)
        moved = np.inf
        if turn > 0:
            moved = np.abs(now - before).max()
        before[:] = now
        passes = turn
        done = not choosing and not shaping and (not noisy or turn > _CHOICE + 1)
        if not (task.robust or noisy or offsetting) and not choosing and not shaping:
            break
        if done and (moved <= MOVE_TOLERANCE or not task.robust):
            break
        if turn == MAX_PASSES + 2:
            break
        leverage(first, last, head, tail, rate, z, size, width, q)
        for j in range(n):
            pull[j] = min(w[j] * q[j], _MOST_PULL)
        if noisy and turn > 0 and left > 0.0:
            noise = 0.5 * (scatter[0] + scatter[1])
            for j in range(n):
                q[j] = 0.5 * (rx[j] * rx[j] + ry[j] * ry[j]) + noise * q[j]
            mission_noise(rows.formal, rows.mission, q, u, found.scale, found.floor, variance)
            if turn in (_CHOICE - 1, _CHOICE + 1):
                rho = image_correlation(rows.first_image, rows.second_image, task.images, rx, ry, variance, u)
        if task.robust:
            # A pair that pulls the series to itself leaves a short residual: studentised, it is seen.
            for j in range(n):
                w[j] = 1.0 / (variance[j] * (1.0 - pull[j]))
            reweight(w, rx, ry, u)
        if rho > 0.0:
            give_credit(rows.first_image, rows.second_image, task.images, u, rho, credit)
    facts[0], facts[1], facts[2], facts[3] = 10.0**choice, freedom, passes, rho
    for i in range(size):
        found.profile[i] = 10.0**choice * np.sqrt(shape[min(max(i - 1, 0), size - order - 1)])
    for m in range(missions):
        for k in range(2):
            if column[m] >= 0:
                found.offset_std[k, m] = np.sqrt(scatter[k] * s_inverse[column[m], column[m]])
    core = CORE_VARIANCE if task.robust else 1.0
    if noisy:
        variance /= core
        found.scale[:] = np.sqrt(found.scale / core)
        found.floor[:] = np.sqrt(found.floor)
    else:
        noise = 0.5 * (scatter[0] + scatter[1])
        variance *= noise * np.mean(1.0 / variance)
    if not task.uncertainty:
        return SOLVED
    status = SOLVED
    for k in range(2):
        if not scatter[k] > 0.0:
            std[k] = np.nan
            status = NO_FREEDOM
            continue
        for i in range(size):
            std[k, i] = np.sqrt(scatter[k] * (z[i * (2 * width + 1) + width] + extra[i]))
    return status


@kernel(error_model="numpy")
def _learn_all(
    op_first: NDArray, op_last: NDArray, op_head: NDArray, op_tail: NDArray, op_rate: NDArray,
    span_id: NDArray, offsets: NDArray, pair: NDArray, vx: NDArray, vy: NDArray, formal: NDArray,
    mission: NDArray, first_image: NDArray, second_image: NDArray, task: Task, values: NDArray,
    std: NDArray, count: NDArray, covered: NDArray, smoothing: NDArray, freedom: NDArray, passes: NDArray,
    status: NDArray, u: NDArray, credit: NDArray, sigma: NDArray, scale: NDArray, floor: NDArray,
    offset: NDArray, offset_std: NDArray, correlation: NDArray, profile: NDArray,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    facts = np.empty(4)
    for p in range(len(offsets) - 1):
        i0, i1 = offsets[p], offsets[p + 1]
        here = pair[i0:i1]
        status[p] = TOO_FEW
        if i1 == i0:
            continue
        first, last = op_first[here], op_last[here]
        cell0 = first.min()
        size = last.max() - cell0 + 1
        first -= cell0
        last -= cell0
        rows = Rows(
            first, last, op_head[here], op_tail[here], op_rate[here], vx[i0:i1], vy[i0:i1], formal[i0:i1],
            mission[here], first_image[here], second_image[here],
        )  # fmt: skip
        cover(first, last, rows.head, rows.tail, size, count[p, cell0:], covered[p, cell0:])
        if not enough(span_id, here, task.needed):
            continue
        now, bars = np.empty((2, size)), np.empty((2, size if task.uncertainty else 0))
        offset[p, :, :] = 0.0
        variance = sigma[i0:i1]
        variance[:] = rows.formal
        found = Found(
            u[i0:i1], credit[i0:i1], variance, scale[p], floor[p], offset[p], offset_std[p],
            profile[p, cell0 : cell0 + size],
        )  # fmt: skip
        mine = Task(
            task.order, task.needed, task.interval, task.first_time + cell0 * task.interval, task.kind,
            task.guard, task.log_smoothing, task.low, task.high, task.robust, task.uncertainty, task.noise,
            task.offsets, task.vary, task.images,
        )  # fmt: skip
        status[p] = _learn(rows, mine, found, now, bars, facts)
        variance[:] = np.sqrt(variance)
        if status[p] == FAILED:
            continue
        smoothing[p], freedom[p], passes[p], correlation[p] = facts[0], facts[1], facts[2], facts[3]
        for i in range(size):
            if count[p, cell0 + i] > 0:
                for k in range(2):
                    values[p, k, cell0 + i] = now[k, i]
                    if task.uncertainty:
                        std[p, k, cell0 + i] = bars[k, i]


class LearningSolver:
    """Solves each pixel by band Cholesky and learns noise, offsets and changing smoothness on the way."""

    def solve(self, batch: PixelBatch, options: SolveOptions) -> BatchResult:
        """Estimate every pixel of a batch.

        Parameters
        ----------
        batch : PixelBatch
            With `PixelBatch.noise`.
        options : SolveOptions

        Returns
        -------
        BatchResult
            With `BatchResult.learnt`.

        Raises
        ------
        ValueError
            If the batch does not say what the noise depends on.
        """
        noise = batch.noise
        if noise is None:
            raise ValueError("the batch holds no noise inputs: give PixelBatch.noise")
        operator, grid = batch.operator, batch.operator.grid
        order = options.derivative
        if isinstance(options.smoothing, str):
            kind, log_smoothing = (GCV if options.smoothing == "gcv" else EVIDENCE), np.nan
        else:
            kind, log_smoothing = FIXED, float(np.log10(options.smoothing))
        low, high = np.log10(smoothing_limits(order, grid.interval))
        task = Task(
            order, needed_pairs(order), grid.interval, grid.first * grid.interval, kind,
            options.smoothing == "auto",
            log_smoothing, low, high, options.robust, options.uncertainty, options.learn_noise,
            options.offsets, options.vary, noise.images,
        )  # fmt: skip
        result = BatchResult.blank(batch, uncertainty=options.uncertainty)
        learnt = Learnt.blank(batch)
        _learn_all(
            operator.first, operator.last, operator.head, operator.tail, operator.rate, batch.span_id,
            batch.offsets, batch.pair, batch.vx, batch.vy, noise.variance, noise.mission, noise.first_image,
            noise.second_image, task, result.values, result.std, result.count, result.covered,
            result.smoothing, result.freedom, result.passes, result.status, result.robust_weights,
            learnt.credit, learnt.sigma, learnt.scale, learnt.floor, learnt.offset, learnt.offset_std,
            learnt.correlation, learnt.profile,
        )  # fmt: skip
        return replace(result, learnt=learnt)
