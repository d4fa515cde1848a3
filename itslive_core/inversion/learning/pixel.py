"""One pixel of the learning solver, pass by pass, compiled; see `itslive_core.inversion.learning.solver`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from itslive_core.bands.algebra import (
    Band,
    Inverse,
    blank_band,
    blank_inverse,
    factorise,
    mean_diagonal,
    selected_inverse,
    solve,
)
from itslive_core.bands.assembly import assemble
from itslive_core.bands.penalty import Penalty, add_penalty, penalty_trace
from itslive_core.bands.spans import Spans, reach_of
from itslive_core.inversion.learning.mission_offsets import active_missions, solve_offsets
from itslive_core.inversion.learning.noise_model import (
    CORE_VARIANCE,
    give_credit,
    image_correlation,
    leverage,
    mission_noise,
)
from itslive_core.inversion.learning.roughness import NONZERO, allow, design, fit_roughness, n_columns
from itslive_core.inversion.pixel_fit import refine, residuals, reweight
from itslive_core.inversion.search import FIXED, GCV, Problem, criterion, search
from itslive_core.inversion.solver import FAILED, MAX_PASSES, MOVE_TOLERANCE, NO_FREEDOM, SOLVED
from itslive_core.support.compiled import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Found", "Rows", "Task", "learn_pixel"]

_STIFF, _STIFFEST = 1e3, 1e12
"""As in `banded`: ratios of penalty to data above which solutions are refined, and lambda is held."""
_FIRST_SHAPE, _CHOICE = 2, 4
"""Passes at which the shape of the penalty is first fitted, and at which the choice is made for good."""
_FIRST_STEPS, _STEPS = 8, 3
"""Steps of the fit of the shape, at first and later."""
_PRICE = 12.0
"""What each part of a changing penalty, of a dozen numbers or more, must gain in cross-validation."""
_MOST_PULL = 0.75
_TAU_PAIRS = 2.0
"""Offsets' worth of trust in their expected size."""
_LEAST_TO_LEARN = 40
"""Pairs below which the noise is taken as the formal errors say and missions are taken to agree."""
_LEAST_FOR_SHAPE = 300, 60
"""Pairs and differences below which the penalty keeps its shape."""
_BELOW = 0.5
"""Decades by which cross-validation may ask for less smoothing than the evidence, unless it is sure."""
_STIFF_CHOICE = 2.5
"""Decades above the least lambda from which the evidence may have mistaken what is not smooth for noise."""
_SURE = 12.0
"""What cross-validation must gain by going below the evidence's lambda; as `_PRICE`, for the correlation that
is left in the noise gains up to 3."""
_START = 1 / 3
"""Where in its range lambda starts, before outliers are known."""
_YEAR = 365.25


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

    spans: Spans
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
    jitter: NDArray
    offset: NDArray
    offset_std: NDArray
    profile: NDArray


class Work(NamedTuple):
    """Room to work in: M cells, n pairs, half-bandwidth b."""

    normal: Band
    factor: Band
    spare: Band
    inverse: Inverse
    rhs: NDArray
    solution: NDArray
    now: NDArray
    rx: NDArray
    ry: NDArray
    w: NDArray
    dx: NDArray
    dy: NDArray
    q: NDArray
    squares: NDArray
    shape: NDArray
    columns: NDArray
    values: NDArray
    theta: NDArray
    precision: NDArray
    scatter: NDArray
    column: NDArray
    correction: NDArray
    schur: NDArray
    extra: NDArray


@kernel()
def _make_room(
    size: int, width: int, n: int, differences: int, knots: int, missions: int
) -> Work:  # pragma: no cover - compiled
    return Work(
        blank_band(size, width), blank_band(size, width), blank_band(size, width), blank_inverse(size, width),
        np.empty((2, size)), np.empty((2, size)), np.empty((2, size)), np.empty(n), np.empty(n), np.empty(n),
        np.empty(n), np.empty(n), np.empty(n), np.empty(2), np.ones(size),
        np.empty((differences, NONZERO), dtype=np.int64), np.empty((differences, NONZERO)),
        np.zeros(knots), np.zeros(knots), np.full(2, np.nan), np.full(missions, -1), np.zeros((2, missions)),
        np.zeros((missions, missions)),
        np.zeros(size),
    )  # fmt: skip


@kernel(error_model="numpy")
def _load(rows: Rows, found: Found, work: Work) -> float:  # pragma: no cover - compiled
    """Set the weights and the data less offsets; return the sum of robust weights times credit."""
    norm = 1.0 / np.mean(1.0 / found.variance)
    worth = 0.0
    for j in range(len(work.w)):
        trust = found.u[j] * found.credit[j]
        worth += trust
        work.w[j] = trust * norm / found.variance[j]
        work.dx[j] = rows.vx[j] - found.offset[0, rows.mission[j]]
        work.dy[j] = rows.vy[j] - found.offset[1, rows.mission[j]]
    return worth


@kernel(error_model="numpy")
def _choose(problem: Problem, task: Task, work: Work, vary: bool, level: float) -> float:  # pragma: no cover
    """Choose how the penalty changes (not, by months, by years, by both) and lambda, for good."""
    best, chosen = np.inf, np.nan
    shape = problem.shape.copy()
    for candidate in range(4 if vary else 1):
        problem.shape[:] = 1.0
        years, months = candidate >= 2, candidate % 2 == 1
        if candidate == 0:
            x = search(problem, task.low, task.high, level)
        else:
            theta = work.theta.copy()
            allow(years, months, theta, work.precision)
            x = fit_roughness(problem, work.columns, work.values, work.precision, level, theta, _FIRST_STEPS)
        if np.isnan(x):
            continue
        x = min(max(x, task.low), task.high)
        # Shapes are compared by cross-validation, however lambda is chosen.
        judge = Problem(
            GCV, problem.normal, problem.work, problem.inverse, problem.rhs, problem.solution,
            problem.squares, problem.n, problem.order, problem.scale, problem.shape,
        )  # fmt: skip
        if task.guard or task.kind == GCV:
            x = _cross_validated(task, judge, x)
        score = criterion(judge, x) + (years + months) * _PRICE
        if score < best:
            best, chosen = score, x
            shape[:] = problem.shape
    problem.shape[:] = shape
    return chosen


@kernel(error_model="numpy")
def _cross_validated(task: Task, judge: Problem, x: float) -> float:  # pragma: no cover - compiled
    """Give log10 lambda of least cross-validation, near that of the evidence, x, if that is to guard it."""
    if not task.guard:
        return search(judge, task.low, task.high, x)
    near = search(judge, max(x - _BELOW, task.low), task.high, x)
    if x < task.low + _STIFF_CHOICE:
        return near
    # Few pairs and a weak, sharp season: the evidence knows two answers, of which a straight line is one.
    far = search(judge, task.low, x - _BELOW, np.nan)
    if np.isfinite(far) and criterion(judge, far) + _SURE < criterion(judge, near):
        return far
    return near


@kernel(error_model="numpy")
def _smooth(
    task: Task, work: Work, worth: float, turn: int, choosing: bool, vary: bool, choice: float
) -> float:  # pragma: no cover - compiled
    """Fit the shape of the penalty, and lambda if it is to be chosen; return log10 lambda."""
    w = work.w
    work.squares[0] = (w * work.dx * work.dx).sum()
    work.squares[1] = (w * work.dy * work.dy).sum()
    problem = Problem(
        task.kind, work.normal, work.spare, work.inverse, work.rhs, work.solution, work.squares, worth,
        task.order, task.interval**task.order, work.shape,
    )  # fmt: skip
    if choosing and turn == 0 and task.robust:
        # With outliers in, the evidence is best for a straight line.
        return task.low + _START * (task.high - task.low)
    if choosing and turn >= _CHOICE:
        return _choose(problem, task, work, vary, choice)
    if choosing and turn <= _FIRST_SHAPE:
        choice = search(problem, task.low, task.high, np.nan)
    if vary and turn >= _FIRST_SHAPE:
        steps = _FIRST_STEPS if turn == _FIRST_SHAPE else _STEPS
        allow(True, True, work.theta, work.precision)
        level = fit_roughness(problem, work.columns, work.values, work.precision, choice, work.theta, steps)
        return min(max(level, task.low), task.high) if choosing else choice
    return search(problem, task.low, task.high, choice) if choosing and turn > _FIRST_SHAPE else choice


@kernel(error_model="numpy")
def _solve(spans: Spans, penalty: Penalty, work: Work, stiff: bool) -> bool:  # pragma: no cover - compiled
    """Solve for the series and its residuals; False if the matrix cannot be factorised."""
    work.factor.entries[:] = work.normal.entries
    add_penalty(work.factor, penalty)
    if not factorise(work.factor):
        return False
    work.now[:] = work.rhs
    solve(work.factor, work.now)
    residuals(spans, work.dx, work.dy, work.now, work.rx, work.ry)
    if stiff:
        refine(spans, work.w, work.dx, work.dy, penalty, work.factor, work.now, work.rx, work.ry)
    return True


@kernel()
def _drop_offsets(rows: Rows, found: Found, work: Work) -> int:  # pragma: no cover - compiled
    """Give numbers to missions with an offset, and forget the offsets of those that lost their pairs."""
    active = active_missions(rows.mission, found.u, work.column)
    for m in range(len(work.column)):
        if work.column[m] < 0:
            found.offset[:, m] = 0.0
    work.extra[:] = 0.0
    return active


@kernel(error_model="numpy")
def _correct_offsets(
    rows: Rows, found: Found, work: Work, active: int, tau2: float
) -> None:  # pragma: no cover - compiled
    """Solve for offsets beside the series, and form the residuals anew."""
    # What is found here corrects the offsets that were taken from dx and dy before.
    solve_offsets(
        rows.spans, work.w, work.dx, work.dy, rows.mission, work.column, active,
        0.5 * work.scatter.sum() / tau2, work.factor, found.offset, work.now, work.correction,
        work.schur, work.extra,
    )  # fmt: skip
    for m in range(len(work.column)):
        c = work.column[m]
        if c >= 0:
            for k in range(2):
                found.offset[k, m] += work.correction[k, c]
    _load(rows, found, work)
    residuals(rows.spans, work.dx, work.dy, work.now, work.rx, work.ry)


@kernel(error_model="numpy")
def _offset_size(found: Found, work: Work, active: int, expected: float) -> float:  # pragma: no cover
    """Give the variance of the offsets' prior: the mean square of what was found and what was expected."""
    total = _TAU_PAIRS * expected
    for m in range(len(work.column)):
        c = work.column[m]
        if c >= 0:
            for k in range(2):
                total += found.offset[k, m] ** 2 + work.scatter[k] * work.schur[c, c]
    return total / (_TAU_PAIRS + 2.0 * active)


@kernel(error_model="numpy")
def _measure(penalty: Penalty, work: Work, active: int, worth: float) -> float:  # pragma: no cover - compiled
    """Form the selected inverse and the scatter of both components; return the degrees of freedom."""
    selected_inverse(work.factor, work.inverse)
    fixed = penalty.alpha * penalty_trace(work.inverse, penalty.order, penalty.shape)
    freedom = work.now.shape[1] - fixed + active
    for k in range(2):
        r = work.rx if k == 0 else work.ry
        work.scatter[k] = (work.w * r * r).sum() / (worth - freedom) if worth > freedom else np.nan
    return freedom


@kernel(error_model="numpy")
def _judge_pairs(
    rows: Rows, task: Task, found: Found, work: Work, turn: int, noisy: bool, rho: float
) -> float:  # pragma: no cover - compiled
    """Learn the noise, and reweight the pairs; return the correlation of pairs that share an image."""
    n, noise = len(work.w), 0.5 * work.scatter.sum()
    q, u, variance = work.q, found.u, found.variance
    leverage(rows.spans, work.inverse, q)
    pull = np.empty(n)
    for j in range(n):
        pull[j] = min(work.w[j] * q[j], _MOST_PULL)
    if noisy and turn > 0 and noise > 0.0:
        for j in range(n):
            q[j] = 0.5 * (work.rx[j] ** 2 + work.ry[j] ** 2) + noise * q[j]
        span = task.interval / rows.spans.rate
        mission_noise(rows.formal, span, rows.mission, q, u, found.scale, found.floor, found.jitter, variance)
        if turn in (_CHOICE - 1, _CHOICE + 1):
            rho = image_correlation(
                rows.first_image, rows.second_image, task.images, work.rx, work.ry, variance, u
            )
    if task.robust:
        # A pair that pulls the series to itself leaves a short residual: studentised, it is seen.
        reweight(1.0 / (variance * (1.0 - pull)), work.rx, work.ry, u)
    if rho > 0.0:
        give_credit(rows.first_image, rows.second_image, task.images, u, rho, found.credit)
    return rho


@kernel(error_model="numpy")
def _write(
    task: Task, found: Found, work: Work, choice: float, noisy: bool, std: NDArray
) -> int:  # pragma: no cover - compiled
    """Write what was learnt in the units of the user, and the standard deviations; return the status."""
    size = work.now.shape[1]
    found.profile[:] = 10.0**choice
    if size > task.order:
        for i in range(size):
            found.profile[i] *= np.sqrt(work.shape[min(max(i - 1, 0), size - task.order - 1)])
    for m in range(len(work.column)):
        c = work.column[m]
        if c >= 0:
            for k in range(2):
                found.offset_std[k, m] = np.sqrt(work.scatter[k] * work.schur[c, c])
    if noisy:
        core = CORE_VARIANCE if task.robust else 1.0
        found.variance[:] /= core
        found.scale[:] = np.sqrt(found.scale / core)
        found.floor[:] = np.sqrt(found.floor)
        found.jitter[:] = np.sqrt(found.jitter) / _YEAR
    else:
        found.variance[:] *= 0.5 * work.scatter.sum() * np.mean(1.0 / found.variance)
    if not task.uncertainty:
        return SOLVED
    status, width = SOLVED, work.inverse.width
    for k in range(2):
        if not work.scatter[k] > 0.0:
            std[k] = np.nan
            status = NO_FREEDOM
            continue
        for i in range(size):
            own = work.inverse.entries[i * (2 * width + 1) + width] + work.extra[i]
            std[k, i] = np.sqrt(work.scatter[k] * own)
    return status


@kernel(error_model="numpy")
def learn_pixel(
    rows: Rows, task: Task, found: Found, now: NDArray, std: NDArray, facts: NDArray
) -> int:  # pragma: no cover - compiled
    """Estimate one pixel on its own range of M cells.

    Parameters
    ----------
    rows : Rows
    task : Task
    found : Found
        ``u`` and ``credit`` hold 1, ``variance`` the formal variance, ``offset`` 0; all receive results.
    now : ndarray, shape (2, M)
        Receives vx and vy [m/yr].
    std : ndarray, shape (2, M) or (2, 0)
        Receives the standard deviations, if asked for [m/yr].
    facts : ndarray, shape (4,)
        Receives lambda, effective degrees of freedom, passes and the correlation of images.

    Returns
    -------
    int
        `SOLVED`, `FAILED` or `NO_FREEDOM`.
    """
    size, n, order = now.shape[1], len(rows.vx), task.order
    width = reach_of(rows.spans, order)
    vary = task.vary and n >= _LEAST_FOR_SHAPE[0] and size - order >= _LEAST_FOR_SHAPE[1]
    noisy, offsetting = task.noise and n >= _LEAST_TO_LEARN, task.offsets and n >= _LEAST_TO_LEARN
    moving = task.robust or noisy or offsetting
    differences = size - order if vary else 0
    work = _make_room(
        size, width, n, differences, n_columns(differences, task.interval), found.offset.shape[1]
    )
    if vary:
        design(task.first_time, task.interval, order, work.columns, work.values)
    # What offsets are expected to be before any is seen: 2 m/yr and 2 % of the speed.
    expected = (2.0 + 0.02 * np.hypot(np.median(rows.vx), np.median(rows.vy))) ** 2
    tau2, freedom, rho, choice = expected, 0.0, 0.0, task.log_smoothing
    choosing, shaping = task.kind != FIXED, vary
    before = np.zeros((2, size))
    # After the choice the noise is learnt once more; offsets start in the second pass, settle in the third.
    least = _CHOICE + 2 if noisy else (2 if offsetting else 0)
    # Where nothing moves from pass to pass, only the passes that choose are made.
    turn = 0 if moving else (_FIRST_SHAPE if vary else _CHOICE)
    while True:
        # The prior of the offsets is in units of the noise, so they start after the first pass.
        active = 0
        if offsetting and turn > 0 and work.scatter.sum() > 0.0:
            active = _drop_offsets(rows, found, work)
        worth = _load(rows, found, work)
        assemble(rows.spans, work.w, work.dx, work.dy, work.normal, work.rhs)
        if choosing or shaping:
            choice = _smooth(task, work, worth, turn, choosing, vary, choice)
            if turn >= _CHOICE:
                choosing = shaping = False
        data = mean_diagonal(work.normal)
        alpha = min((10.0**choice / task.interval**order) ** 2, _STIFFEST * data)
        penalty = Penalty(order, alpha, work.shape)
        if np.isnan(choice) or not _solve(rows.spans, penalty, work, alpha > _STIFF * data):
            return FAILED
        if active > 0:
            _correct_offsets(rows, found, work, active, tau2)
        freedom = _measure(penalty, work, active, worth)
        if active > 0 and work.scatter.sum() > 0.0:
            tau2 = _offset_size(found, work, active, expected)
        moved = np.abs(work.now - before).max() if turn > 0 else np.inf
        before[:] = work.now
        done = not choosing and not shaping and turn >= least
        if turn >= MAX_PASSES + 2 or (done and (moved <= MOVE_TOLERANCE or not task.robust)):
            break
        if moving:
            rho = _judge_pairs(rows, task, found, work, turn, noisy, rho)
        turn += 1
    facts[0], facts[1], facts[2], facts[3] = 10.0**choice, freedom, turn if moving else 0, rho
    now[:] = work.now
    return _write(task, found, work, choice, noisy, std)
