"""Estimates of a point: its pairs filtered and inverted, its Gaussian process fitted. Runs on a worker."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dashboard.state.fit import Fit, Process, nothing_left
from dashboard.state.pictures import Bars
from itslive_core.estimators import estimator_of
from itslive_core.observations.left_out import is_left_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dashboard.state.choices import Choices
    from itslive_core import ImagePairs, PairSelection

__all__ = ["fit_point", "fit_process"]


def fit_point(pairs: ImagePairs, choices: Choices, before: Fit | None = None) -> Fit:
    """Filter the pairs of a point, and invert them where that is wanted.

    Parameters
    ----------
    pairs : ImagePairs
    choices : Choices
    before : Fit, optional
        The pairs that it shows stay the same object while the filters do.
    """
    from itslive_core import invert
    from itslive_core.errors import SelectionError
    from itslive_core.filters.rejections import explain_rejections

    settings, selection = choices.settings, choices.selection
    same = before is not None and before.selection == selection
    if before is not None and _but_by_hand(before.selection) == _but_by_hand(selection):
        shown = before.shown
    else:
        shown = pairs.select(_but_by_hand(selection))
    by_hand = is_left_out(
        selection.leave_out or (), shown.start, shown.end, shown.satellite_1, shown.satellite_2
    )
    if by_hand.all():
        bars = Bars(shown, ~by_hand, by_hand)
        return Fit(pairs, shown, selection, settings, bars, problem=nothing_left(len(pairs)))
    if before is not None and same and before.settings.filters == settings.filters:
        bars = before.bars
    else:
        keep = ~by_hand
        keep[keep] = explain_rejections(shown.take(keep), settings) == ""
        unchanged = before is not None and same and np.array_equal(before.bars.keep, keep)
        bars = before.bars if before is not None and unchanged else Bars(shown, keep, by_hand)
    if not choices.inverts:
        return Fit(pairs, shown, selection, settings, bars)
    try:
        return Fit(pairs, shown, selection, settings, bars, invert(pairs, settings, selection=selection))
    except SelectionError as error:
        return Fit(pairs, shown, selection, settings, bars, problem=str(error))


def _but_by_hand(selection: PairSelection) -> PairSelection:
    """Return a selection that leaves nothing out by hand: what it takes away is drawn, too."""
    return replace(selection, leave_out=None)


def fit_process(pairs: ImagePairs, choices: Choices, should_stop: Callable[[], bool]) -> Iterator[Process]:
    """Fit what is wanted beside the inversion: first quickly, then refined; ends without one when stopped."""
    from itslive_core.errors import ItsliveError

    settings, selection = choices.process, choices.selection
    if settings is None:
        return
    steps = estimator_of(settings).steps(pairs, settings, selection=selection, cancelled=should_stop)
    try:
        for series in steps:
            yield Process(settings, selection, series, pending=not series.attrs.get("refined", 1))
    except ItsliveError as error:
        yield Process(settings, selection, problem=str(error))
