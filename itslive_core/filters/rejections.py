"""Rejection of pairs by their values: all filters in their order, for a point and for a block alike.

In order: formal error, angle to the median flow, span consistency (`itslive_core.filters.outliers`),
deviation from what the other pairs say. Each sees what the ones before it left. The first, second and fourth
are filters of the field, off unless a limit is given; the reweighting of a robust fit makes them needless in
most places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from itslive_core.filters.monthly_series import monthly_rows
from itslive_core.filters.outliers import SPAN_CLASSES, longest_spans, span_class, span_consistent
from itslive_core.filters.rejection_kernels import flow_and_scatter, turned_away, vector_deviations
from itslive_core.observations.missions import MISSIONS, mission_numbers
from itslive_core.observations.selection import FilterStep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from itslive_core.observations.pairs import ImagePairs
    from itslive_core.observations.selection import PairSelection
    from itslive_core.settings import Settings, ValueFilters

__all__ = ["Observations", "explain_rejections", "pair_error", "reject", "rejections"]

_SIGNIFICANT = 3.0
"""Where the median flow is slower than this times the scatter across it, directions of pairs are noise."""
_LEAST_SCATTER = 1.0
"""Values are stored in whole m/yr: scatter below that is not known."""


@dataclass(frozen=True, eq=False)
class Observations:
    """Observations of some pixels, as the filters need them.

    Parameters
    ----------
    offsets : ndarray of int64, shape (P + 1,)
        Pixel p owns observations offsets[p]:offsets[p + 1].
    pair : ndarray of int32, shape (n,)
        Pair of each observation.
    vx, vy : ndarray of float64, shape (n,)
        [m/yr].
    start, end : ndarray, shape (T,)
        Dates of the pairs [days since 1970-01-01].
    error : ndarray, shape (T,)
        Formal error of each pair, from `pair_error` [m/yr].
    mission : ndarray of int, shape (T,)
        Position of each pair's mission in `itslive_core.observations.missions.MISSIONS`.
    """

    offsets: NDArray[np.int64]
    pair: NDArray[np.int32]
    vx: NDArray[np.float64]
    vy: NDArray[np.float64]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    error: NDArray[np.float64]
    mission: NDArray[np.int64]

    @classmethod
    def at_point(cls, pairs: ImagePairs) -> Observations:
        """Take the pairs of one pixel."""
        n = len(pairs)
        return cls(
            np.array([0, n]),
            np.arange(n, dtype=np.int32),
            pairs.vx,
            pairs.vy,
            pairs.start,
            pairs.end,
            pair_error(pairs.vx_error, pairs.vy_error),
            mission_numbers(pairs.mission),
        )

    def take(self, keep: NDArray[np.bool_]) -> Observations:
        """Keep some of the observations.

        Parameters
        ----------
        keep : ndarray of bool, shape (n,)
        """
        if keep.all():
            return self
        return Observations(
            np.concatenate(([0], np.cumsum(keep)))[self.offsets],
            self.pair[keep],
            self.vx[keep],
            self.vy[keep],
            self.start,
            self.end,
            self.error,
            self.mission,
        )


def pair_error(vx_error: NDArray[np.float64], vy_error: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the formal error of a component, sqrt((vx_error^2 + vy_error^2) / 2) [m/yr], shape (n,)."""
    return np.sqrt(0.5 * (vx_error**2 + vy_error**2))


def rejections(
    observations: Observations, settings: Settings
) -> Iterator[tuple[str, NDArray[np.bool_], Observations]]:
    """Run the filters on values that are set, one after the other.

    Parameters
    ----------
    observations : Observations
    settings : Settings
        Of an estimator, or `ValueFilters` alone.

    Yields
    ------
    name : str
        Of the filter: max_error, max_angle, span_consistency or max_deviation.
    keep : ndarray of bool
        What it keeps of the observations that the filters before it left.
    left : Observations
        Those that it keeps.
    """
    left, filters = observations, settings.filters
    for name, limit, run in (
        ("max_error", filters.max_error, _small_error),
        ("max_angle", filters.max_angle, _with_the_flow),
        ("span_consistency", 0.0 if filters.outliers == "auto" else None, _span_consistent),
        ("max_deviation", filters.max_deviation, _close_to_others),
    ):
        if limit is not None:
            keep = run(left, limit)
            left = left.take(keep)
            yield name, keep, left


def _small_error(left: Observations, limit: float) -> NDArray[np.bool_]:
    # A missing error compares as False: nothing is known against the pair.
    return ~(left.error > limit)[left.pair]


def _with_the_flow(left: Observations, limit: float) -> NDArray[np.bool_]:
    flow = flow_and_scatter(left.offsets, left.vx, left.vy)
    cosine = float(np.cos(np.radians(limit)))
    turned: NDArray[np.bool_] = turned_away(left.offsets, left.vx, left.vy, flow, cosine, _SIGNIFICANT)
    return ~turned


def _span_consistent(left: Observations, _: float) -> NDArray[np.bool_]:
    return span_consistent(left.offsets, left.pair, left.start, left.end, left.vx, left.vy, left.mission)


def _close_to_others(left: Observations, limit: float) -> NDArray[np.bool_]:
    rows, _ = monthly_rows(left.start, left.end, left.mission)
    score: NDArray[np.float64] = vector_deviations(
        left.offsets, left.pair, rows, span_class(rows.span), len(SPAN_CLASSES) - 1, len(MISSIONS),
        left.vx, left.vy, _LEAST_SCATTER,
    )  # fmt: skip
    return score <= limit


def reject(pairs: ImagePairs, settings: Settings) -> ImagePairs:
    """Run the filters on values at one pixel, and note in the history what each took and why.

    Parameters
    ----------
    pairs : ImagePairs
    settings : Settings
        Of an estimator, or `ValueFilters` alone.
    """
    for name, keep, _ in rejections(Observations.at_point(pairs), settings):
        kept = int(keep.sum())
        step = FilterStep(name, kept, len(pairs) - kept, _note(name, pairs, keep, settings.filters))
        pairs = pairs.take(keep, step)
    return pairs


def explain_rejections(
    pairs: ImagePairs, settings: Settings, selection: PairSelection | None = None
) -> NDArray[np.str_]:
    """Name, for every pair, the filter that takes it.

    Parameters
    ----------
    pairs : ImagePairs
        n pairs, before any of these filters.
    settings : Settings
        Of an estimator, or `ValueFilters` alone.
    selection : PairSelection, optional
        Filters on metadata, which come first.

    Returns
    -------
    ndarray of str, shape (n,)
        ``""`` for the pairs that are used, else the name of the step as it appears in `ImagePairs.history`.
    """
    names = np.full(len(pairs), "", dtype="U32")
    if selection is not None:
        columns = (pairs.start, pairs.end, pairs.mission, pairs.satellite_1, pairs.satellite_2)
        for name, keep, _ in selection.masks(*columns):
            names[(names == "") & ~keep] = name
    index = np.flatnonzero(names == "")
    for name, keep, _ in rejections(Observations.at_point(pairs.take(index)), settings):
        names[index[~keep]] = name
        index = index[keep]
    return names


def _note(name: str, pairs: ImagePairs, keep: NDArray[np.bool_], filters: ValueFilters) -> str:
    """Say in words what a filter keeps, and what it could not judge."""
    if name == "max_error":
        unknown = int(np.isnan(pair_error(pairs.vx_error, pairs.vy_error)).sum())
        note = f"formal error up to {filters.max_error:g} m/yr"
        return f"{note}; {unknown:,} without one were kept" if unknown else note
    if name == "max_angle":
        vx, vy, scatter = flow_and_scatter(np.array([0, len(pairs)]), pairs.vx, pairs.vy)[0]
        speed = float(np.hypot(vx, vy))
        if speed > _SIGNIFICANT * scatter or len(pairs) == 0:
            return f"direction within {filters.max_angle:g} degrees of the median flow of {speed:.3g} m/yr"
        return (
            f"not applied: the median flow of {speed:.3g} m/yr is not clear of the scatter of {scatter:.3g}"
            " m/yr across it, so directions are noise"
        )
    if name == "max_deviation":
        return (
            f"within {filters.max_deviation:g} robust standard deviations of what the other pairs say over"
            " the same span"
        )
    if keep.all():
        return "long pairs agree with short ones"
    note = "pairs that read less than four fifths of what shorter ones say were rejected"
    longest = longest_spans(pairs, keep)
    if longest:
        spans = ", ".join(f"{mission} {days:g} d" for mission, days in longest.items())
        note += f"; nearly all from this span on: {spans}"
    return note
