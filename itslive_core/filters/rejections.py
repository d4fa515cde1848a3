"""Rejection of pairs by their values: all filters in their order, for a point and for a block alike.

In order: formal error, angle to the median flow, span consistency (`itslive_core.filters.outliers`),
deviation from what the other pairs say. Each sees what the ones before it left. The first, second and fourth
are filters of the field, off unless a limit is given; the reweighting of a robust fit makes them needless in
most places.

A filter is one entry of `FILTERS`, and the field of `itslive_core.settings.ValueFilters` that it names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.filters.monthly_series import monthly_pairs
from itslive_core.filters.outliers import longest_spans, span_class, span_consistent
from itslive_core.filters.rejection_kernels import (
    SIGNIFICANT,
    flow_and_scatter,
    turned_away,
    vector_deviations,
)
from itslive_core.observations.batches import Observations, PairFacts, pair_error
from itslive_core.observations.duplicates import Twins
from itslive_core.observations.selection import FilterStep
from itslive_core.settings import Number, ValueFilters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from itslive_core.observations.pairs import ImagePairs
    from itslive_core.observations.selection import PairSelection
    from itslive_core.settings import Settings

__all__ = ["FILTERS", "ValueFilter", "explain_rejections", "reject", "rejections"]


@dataclass(frozen=True)
class ValueFilter:
    """One filter on values.

    Parameters
    ----------
    name : str
        Of its step in the history.
    setting : str
        Field of the settings that holds its limit; None or ``"none"`` there switch it off.
    keeps : callable
        Tells, from observations, facts of their pairs and the limit, which observations to keep.
    says : callable
        Says in words, for the history, what was kept and what could not be judged: from the pairs of a point
        that the filter saw, what it kept of them, and the limit with its unit.
    """

    name: str
    setting: str
    keeps: Callable[[Observations, PairFacts, Any], NDArray[np.bool_]]
    says: Callable[[ImagePairs, NDArray[np.bool_], str], str]

    def limit(self, settings: Settings) -> Any:
        """Return what the settings say; None if the filter is off."""
        limit = getattr(settings.filters, self.setting)
        return None if limit == "none" else limit

    def note(self, pairs: ImagePairs, keep: NDArray[np.bool_], limit: Any) -> str:
        """Say in words what was kept; see `says`."""
        kind = ValueFilters.kinds()[self.setting]
        return self.says(pairs, keep, f"{limit:g} {kind.unit}" if isinstance(kind, Number) else str(limit))


def _small_error(left: Observations, facts: PairFacts, limit: float) -> NDArray[np.bool_]:
    # A missing error compares as False: nothing is known against the pair.
    return ~(facts.error > limit)[left.pair]


def _of_errors(pairs: ImagePairs, _: NDArray[np.bool_], limit: str) -> str:
    unknown = int(np.isnan(pair_error(pairs.vx_error, pairs.vy_error)).sum())
    note = f"formal error up to {limit}"
    return f"{note}; {unknown:,} without one were kept" if unknown else note


def _with_the_flow(left: Observations, _: PairFacts, limit: float) -> NDArray[np.bool_]:
    return ~turned_away(left, limit)


def _of_directions(pairs: ImagePairs, _: NDArray[np.bool_], limit: str) -> str:
    vx, vy, scatter = flow_and_scatter(pairs.vx, pairs.vy)
    speed = float(np.hypot(vx, vy))
    if speed > SIGNIFICANT * scatter or len(pairs) == 0:
        return f"direction within {limit} of the median flow of {speed:.3g} m/yr"
    return (
        f"not applied: the median flow of {speed:.3g} m/yr is not clear of the scatter of {scatter:.3g}"
        " m/yr across it, so directions are noise"
    )


def _span_consistent(left: Observations, facts: PairFacts, _: str) -> NDArray[np.bool_]:
    return span_consistent(left, facts)


def _of_locking(pairs: ImagePairs, keep: NDArray[np.bool_], _: str) -> str:
    if keep.all():
        return "long pairs agree with short ones"
    note = "pairs that read less than four fifths of what shorter ones say were rejected"
    longest = longest_spans(pairs, keep)
    if longest:
        spans = ", ".join(f"{mission} {days:g} d" for mission, days in longest.items())
        note += f"; nearly all from this span on: {spans}"
    return note


def _close_to_others(left: Observations, facts: PairFacts, limit: float) -> NDArray[np.bool_]:
    pairs, _ = monthly_pairs(facts.start, facts.end, facts.mission)
    return vector_deviations(left, pairs, span_class(pairs.span)) <= limit


def _of_deviations(_: ImagePairs, __: NDArray[np.bool_], limit: str) -> str:
    return f"within {limit} of what the other pairs say over the same span"


FILTERS = (
    ValueFilter("max_error", "max_error", _small_error, _of_errors),
    ValueFilter("max_angle", "max_angle", _with_the_flow, _of_directions),
    ValueFilter("span_consistency", "outliers", _span_consistent, _of_locking),
    ValueFilter("max_deviation", "max_deviation", _close_to_others, _of_deviations),
)
"""All filters on values, in their order."""


def rejections(
    observations: Observations, facts: PairFacts, settings: Settings
) -> Iterator[tuple[ValueFilter, NDArray[np.bool_], Observations]]:
    """Run the filters on values that are set, one after the other.

    Parameters
    ----------
    observations : Observations
    facts : PairFacts
        What is known of their pairs.
    settings : Settings
        Of an estimator, or `ValueFilters` alone.

    Yields
    ------
    filter : ValueFilter
    keep : ndarray of bool
        What it keeps of the observations that the filters before it left.
    left : Observations
        Those that it keeps.
    """
    left = observations
    for one in FILTERS:
        limit = one.limit(settings)
        if limit is not None:
            keep = one.keeps(left, facts, limit)
            left = left.keep(keep)
            yield one, keep, left


def reject(pairs: ImagePairs, settings: Settings) -> ImagePairs:
    """Run the filters on values at one pixel, and note in the history what each took and why.

    Parameters
    ----------
    pairs : ImagePairs
    settings : Settings
        Of an estimator, or `ValueFilters` alone.
    """
    # A sum may end in another digit when its order changes: no filter may turn on that.
    rows = pairs.order()
    left, steps = pairs.take(rows), []
    for one, keep, _ in rejections(Observations.at_point(left.vx, left.vy), PairFacts.of(left), settings):
        kept = int(keep.sum())
        steps.append(FilterStep(one.name, kept, len(left) - kept, one.note(left, keep, one.limit(settings))))
        left, rows = left.take(keep), rows[keep]
    return pairs.take(np.sort(rows), *steps) if steps else pairs


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
        ``""`` for the pairs that are used, else the name of the step as it appears in `ImagePairs.history`;
        ``"duplicates"`` for copies of a pair that is there already.
    """
    names = np.full(len(pairs), "", dtype="U32")
    names[~Twins.of(pairs).distinct(*Observations.at_point(pairs.vx, pairs.vy))] = "duplicates"
    if selection is not None:
        columns = (pairs.start, pairs.end, pairs.mission, pairs.satellite_1, pairs.satellite_2)
        for name, keep, _ in selection.masks(*columns):
            names[(names == "") & ~keep] = name
    order = pairs.order()
    index = order[names[order] == ""]
    left = pairs.take(index)
    for one, keep, _ in rejections(Observations.at_point(left.vx, left.vy), PairFacts.of(left), settings):
        names[index[~keep]] = one.name
        index = index[keep]
    return names
