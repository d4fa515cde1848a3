"""lambda of least generalised cross-validation, beside noise and offsets that are learnt."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from itslive_core.bands.algebra import Band
from itslive_core.inversion.search import Problem, SmoothingRule, search

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from itslive_core.inversion.learning.evidence import Known
    from itslive_core.inversion.solver import SolveOptions

__all__ = ["CrossValidation"]


class CrossValidation:
    """Chooses lambda pass by pass, for ``smoothing="gcv"``.

    Parameters
    ----------
    options : SolveOptions
    interval : float
        h [days].
    """

    def __init__(self, options: SolveOptions, interval: float) -> None:
        self._rule = SmoothingRule.of(options, interval)
        self._found = math.nan

    def level(self, known: Known, shape: NDArray[np.float64], worth: float, precision: float) -> float:
        """Give log (lambda / h^k)^2 of least cross-validation.

        Parameters
        ----------
        known : Known
            The data of the pass, less what stands beside the series.
        shape : ndarray, shape (M - k,)
            Factor of the penalty of each change.
        worth : float
            Sum of trust times credit.
        precision : float
            Mean of 1 / variance: lambda is for weights of mean 1.
        """
        rule = self._rule
        normal = Band(known.normal.entries / precision, known.normal.size, known.normal.width)
        problem = Problem.of(rule, normal, known.rhs / precision, shape)
        square = known.square / precision
        problem = problem._replace(squares=(float(square[0]), float(square[1])), n=worth)
        found = search(problem, rule.low, rule.high, self._found)
        self._found = found if math.isfinite(found) else rule.high
        return 2.0 * (self._found * math.log(10.0) - math.log(rule.scale))
