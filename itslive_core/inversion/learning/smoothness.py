"""Choice of lambda, and of how the penalty changes in time, pass by pass of the learning solver."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.inversion.learning.roughness import Design, allow, fit_roughness
from itslive_core.inversion.search import FIXED, GCV, Problem, SmoothingRule, criterion, search

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CHOICE", "FIRST_SHAPE", "Smoothness"]

FIRST_SHAPE, CHOICE = 2, 4
"""Passes at which the shape of the penalty is first fitted, and at which the choice is made for good."""
_FIRST_STEPS, _STEPS = 8, 3
"""Steps of the fit of the shape, at first and later."""
_PRICE = 12.0
"""What each part of a changing penalty, of a dozen numbers or more, must gain in cross-validation."""
_BELOW = 0.5
"""Decades by which cross-validation may ask for less smoothing than the evidence, unless it is sure."""
_STIFF_CHOICE = 2.5
"""Decades above the least lambda from which the evidence may have mistaken what is not smooth for noise."""
_SURE = 12.0
"""What cross-validation must gain by going below the evidence's lambda; as `_PRICE`, for the correlation that
is left in the noise gains up to 3."""
_START = 1 / 3
"""Where in its range lambda starts, before outliers are known."""
_SHAPES = ((False, False), (False, True), (True, False), (True, True))
"""Whether the penalty changes by years, and by months."""


class Smoothness:
    """The penalty of one pixel while it is learnt.

    Parameters
    ----------
    rule : SmoothingRule
        How lambda is found.
    problem : Problem
        The pixel's normal equations; its ``shape`` is that of the penalty.
    design : Design or None
        What the penalty may depend on, if it may change in time.
    blind : bool
        Outliers are still in at the first pass.

    Attributes
    ----------
    value : float
        log10 lambda.
    open : bool
        Something is still to be chosen.
    """

    def __init__(self, rule: SmoothingRule, problem: Problem, design: Design | None, *, blind: bool) -> None:
        self.rule, self.problem, self.design, self.blind = rule, problem, design, blind
        self.value = rule.fixed
        self.open = rule.kind != FIXED or design is not None
        self._theta = np.zeros(0 if design is None else design.size)

    @property
    def shape(self) -> NDArray[np.float64]:
        """Factor of the penalty at each difference, shape (>= M - k,)."""
        return self.problem.shape

    def update(self, turn: int, squares: tuple[float, float], worth: float) -> None:
        """Choose anew as far as this pass may, for the equations as they are now.

        Parameters
        ----------
        turn : int
            Number of the pass.
        squares : tuple of float
            d'Wd per component.
        worth : float
            Sum of the robust weights, times credit.
        """
        self.problem = self.problem._replace(squares=squares, n=worth)
        self.value = self._found(turn)
        self.open = self.open and turn < CHOICE

    def _found(self, turn: int) -> float:
        rule, problem, value = self.rule, self.problem, self.value
        choosing = rule.kind != FIXED
        if choosing and turn == 0 and self.blind:
            # With outliers in, the evidence is best for a straight line.
            return rule.low + _START * (rule.high - rule.low)
        if choosing and turn >= CHOICE:
            return self._choice()
        if choosing and turn <= FIRST_SHAPE:
            value = search(problem, rule.low, rule.high, math.nan)
        if self.design is not None and turn >= FIRST_SHAPE:
            steps = _FIRST_STEPS if turn == FIRST_SHAPE else _STEPS
            precision = allow(self._theta, years=True, months=True)
            level = fit_roughness(problem, self.design, precision, value, self._theta, steps)
            return self._in_range(level) if choosing else value
        return search(problem, rule.low, rule.high, value) if choosing and turn > FIRST_SHAPE else value

    def _in_range(self, x: float) -> float:
        return min(max(x, self.rule.low), self.rule.high)

    def _choice(self) -> float:
        """Choose how the penalty changes (not, by months, by years, by both) and lambda, for good."""
        rule, shape = self.rule, self.shape
        best, chosen, best_shape = math.inf, math.nan, shape.copy()
        # Shapes are compared by cross-validation, however lambda is chosen.
        judge = self.problem._replace(kind=GCV)
        for years, months in _SHAPES if self.design is not None else _SHAPES[:1]:
            shape[:] = 1.0
            if self.design is None or not (years or months):
                x = search(self.problem, rule.low, rule.high, self.value)
            else:
                theta = self._theta.copy()
                precision = allow(theta, years=years, months=months)
                x = fit_roughness(self.problem, self.design, precision, self.value, theta, _FIRST_STEPS)
            if math.isnan(x):
                continue
            x = self._in_range(x)
            if rule.guarded or rule.kind == GCV:
                x = self._cross_validated(judge, x)
            score = criterion(judge, x) + (years + months) * _PRICE
            if score < best:
                best, chosen = score, x
                best_shape[:] = shape
        shape[:] = best_shape
        return chosen

    def _cross_validated(self, judge: Problem, x: float) -> float:
        """Give log10 lambda of least cross-validation, near that of the evidence, x, if it guards that."""
        low, high = self.rule.low, self.rule.high
        if not self.rule.guarded:
            return search(judge, low, high, x)
        near = search(judge, max(x - _BELOW, low), high, x)
        if x < low + _STIFF_CHOICE:
            return near
        # Few pairs and a weak, sharp season: the evidence knows two answers, of which a straight line is one.
        far = search(judge, low, x - _BELOW, math.nan)
        if math.isfinite(far) and criterion(judge, far) + _SURE < criterion(judge, near):
            return far
        return near
