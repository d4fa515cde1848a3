"""Fast ice whose long pairs locked, in thin half years: what the filter takes, and what the series become."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.validation.locked_truths import fast_case, honest_case, judge_filter, judge_series
from benchmarks.validation.page import Table
from benchmarks.validation.scores import geometric_mean, per_cent

if TYPE_CHECKING:
    from truths import Acquisitions

__all__ = ["locked_tables"]

_ESTIMATES = {"inversion": 1.0, "season": 1.0, "gaussian process": 0.25}
"""By name as for `judge_series`: the share of the records that are estimated."""


def locked_tables(at: Acquisitions, truths: int = 200, estimated: int = 40) -> dict[str, Table]:
    """Run the filter over records, and estimates over some of them.

    Parameters
    ----------
    at : Acquisitions
        Of a good record.
    truths : int
        A quarter of them is honest: no pair locked.
    estimated : int
        Fast ones that are estimated, with and without the locked pairs.
    """
    honest = max(1, truths // 4)
    fast = max(1, truths - honest)
    rows = [
        ("fast, long pairs lock", *_filtered([judge_filter(fast_case(at, seed)) for seed in range(fast)])),
        ("honest", *_filtered([judge_filter(honest_case(at, seed)) for seed in range(honest)])),
    ]
    header = (
        "records", "n", "locked pairs", "kept", "records with any kept", "good long pairs", "lost",
        "records that lose above 5 %",
    )  # fmt: skip
    return {"locked": Table(header, rows), "locked_series": _series(at, min(fast, estimated))}


def _filtered(counts: list[tuple[int, int, int, int]]) -> tuple[str, ...]:
    kept, locked, lost, good = np.array(counts).T
    shares = lost / np.maximum(good, 1)
    return (
        str(len(counts)),
        f"{locked.sum():,}",
        per_cent(kept.sum() / max(locked.sum(), 1), 2),
        str(int(np.sum(kept > 0))),
        f"{good.sum():,}",
        per_cent(lost.sum() / max(good.sum(), 1), 2),
        str(int(np.sum(shares > 0.05))),
    )


def _series(at: Acquisitions, truths: int) -> Table:
    rows = []
    for name, share in _ESTIMATES.items():
        cases = (fast_case(at, seed) for seed in range(max(1, round(share * truths))))
        found = [outcome for case in cases if (outcome := judge_series(case, name)) is not None]
        ratios = np.array([outcome.ratio for outcome in found])
        rows.append(
            (
                name, str(len(found)), str(sum(o.reversed > 0 for o in found)),
                str(sum(o.doubled > 0 for o in found)), f"{geometric_mean(ratios):.2f}",
                f"{np.median(ratios):.2f}", str(int(np.sum(ratios > 1.3))), f"{ratios.max():.2f}",
            )
        )  # fmt: skip
    header = (
        "estimate", "records", "with reversed cells", "with doubled cells",
        "RMSE over that without locked pairs", "median", "above 1.3", "worst",
    )  # fmt: skip
    return Table(header, rows)
