"""What was learnt at a solved pixel, as the prior of its series: criteria for other levels, its resolution.

All else is held as the estimate left it: weights, what missions add, axes, tails, and the part that repeats.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.bands.assembly import predict
from itslive_core.bands.spans import Spans, spans_of
from itslive_core.inversion.judged_pairs import judged_pairs
from itslive_core.inversion.learning.border import border_rows
from itslive_core.inversion.learning.evidence import Evidence, Prior
from itslive_core.inversion.learning.means import group_means
from itslive_core.inversion.prepare import finer_cells
from itslive_core.inversion.resolution import own_shares
from itslive_core.observations.batches import Observations

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.inversion.point import PointSolution

__all__ = ["LearntPrior"]


@dataclass(frozen=True, eq=False)
class LearntPrior:
    """The equations of a solved pixel on the cells of its solution.

    Parameters
    ----------
    evidence : Evidence
        The data are entered.
    prior : Prior
        That of the estimate.
    spans : Spans
        n pairs.
    values, weights : ndarray, shape (2, n) and (n,)
        Velocities along both axes, less what missions add, and weights of the last solution.
    worth : float
        Sum of trust times credit.
    smoothing : float
        lambda of the estimate.
    interval : float
        Length of the cells of the solution [days].
    groups : ndarray of int64, shape (m,)
        Cell of the series that each cell of the solution lies in.
    """

    evidence: Evidence
    prior: Prior
    spans: Spans
    values: NDArray[np.float64]
    weights: NDArray[np.float64]
    worth: float
    smoothing: float
    interval: float
    groups: NDArray[np.int64]

    @classmethod
    def of(cls, solution: PointSolution) -> LearntPrior:
        """Rebuild it from a pixel that was solved, with `BatchResult.learnt`."""
        settings, pairs, result, shared = solution.settings, solution.pairs, solution.result, solution.shared
        learnt, order = result.learnt, settings.derivative
        assert learnt is not None
        fine, parts = finer_cells(shared, settings)
        operator = shared.operator if fine is None else fine
        interval = operator.grid.interval
        spans, first, size = spans_of(Spans(*operator.columns), np.arange(len(pairs), dtype=np.int32))
        groups = (first + np.arange(size)) // parts
        judged = judged_pairs(result, shared, Observations.at_point(pairs.vx, pairs.vy))
        cos, sin = np.cos(learnt.axis[0]), np.sin(learnt.axis[0])
        values = np.stack([cos * judged.vx + sin * judged.vy, cos * judged.vy - sin * judged.vx])
        trust = result.robust_weights * judged.worth
        # lambda of change i stands at cell i + 1, for weights of mean 1 and cells of the series.
        at = groups[np.arange(1, size - order + 1)]
        scale = np.mean(1.0 / judged.variance) / (parts * interval ** (2 * order))
        own, yearly = learnt.profile[0, at] ** 2 * scale, np.nan_to_num(learnt.yearly[0, at]) ** 2 * scale
        nothing = border_rows(pairs.start, pairs.end, shared.mission, offsets=False, season=False)
        evidence = Evidence(spans, nothing, size, interval, order, 0, yearly=bool(yearly.any()))
        weights = trust / judged.variance
        evidence.enter(weights, values)
        prior = Prior(own, yearly, float(learnt.stiffer[0] ** 2), np.empty(0))
        worth, smoothing = float(trust.sum()), float(result.smoothing[0])
        return cls(evidence, prior, spans, values, weights, worth, smoothing, interval, groups)

    def at(self, smoothing: float) -> Prior:
        """Give the prior with another level of the changes; what differs between years stays."""
        return self.prior._replace(own=self.prior.own * (smoothing / self.smoothing) ** 2)

    def evidence_at(self, smoothing: float) -> float:
        """Give -2 log of the evidence, up to a constant."""
        return self.evidence.solve(self.at(smoothing)).value

    def gcv_at(self, smoothing: float) -> float:
        """Give n log of generalised cross-validation over both axes, up to a constant."""
        prior = self.at(smoothing)
        posterior = self.evidence.solve(prior, both=True)
        if not math.isfinite(posterior.value):
            return math.inf
        spread, mean, total = self.evidence.spread(prior, posterior), np.empty(len(self.weights)), 0.0
        for axis in range(2):
            predict(self.spans, posterior.series[axis], mean)
            misfit = float(self.weights @ (self.values[axis] - mean) ** 2)
            held = spread.own_variance[axis].sum() + spread.yearly_variance[axis].sum()
            left = self.worth - (self.evidence.size - float(held))
            total += math.log(max(misfit, 1e-300)) - 2.0 * math.log(max(left, 1e-9))
        return self.worth * total

    def resolution(self, cells: int, interval: float) -> NDArray[np.float64]:
        """Give the time over which the estimate averages along the first axis, for each cell of the series.

        Parameters
        ----------
        cells : int
            Number of cells of the series.
        interval : float
            Their length: it averages over no less [days].

        Returns
        -------
        ndarray, shape (cells,)
            [d]; NaN outside the pixel's own range.
        """
        out = np.full(cells, np.nan)
        posterior = self.evidence.solve(self.prior, both=True)
        if math.isfinite(posterior.value):
            self.evidence.spread(self.prior, posterior)
            share = own_shares(self.evidence.known.normal, self.evidence.inverses[0])
            days = np.divide(self.interval, share, out=np.full(len(share), np.nan), where=share > 0)
            begin = int(self.groups[0])
            means = group_means(days, self.groups - begin)
            out[begin : begin + len(means)] = np.maximum(means, interval)
        return out
