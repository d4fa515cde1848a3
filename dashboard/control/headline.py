"""Finds out what there is to say of the active point in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dashboard.runner import Policy, once
from dashboard.state.fit import shown_series
from dashboard.state.headline import Fact, headline

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

    from dashboard.control.series import SeriesControl
    from dashboard.control.session import Session
    from dashboard.state.fit import Fit

__all__ = ["HeadlineControl"]


class HeadlineControl:
    """Fits season and trend of the active point in the worker, once its series is drawn.

    Parameters
    ----------
    session : Session
    series : SeriesControl
    on_facts : callable
        Told the facts; an empty list where there is nothing to say.
    """

    def __init__(
        self, session: Session, series: SeriesControl, on_facts: Callable[[list[Fact]], None]
    ) -> None:
        self._session, self._series, self._on_facts = session, series, on_facts
        self._known: tuple[Fit, xr.Dataset] | None = None
        self._asked: Fit | None = None

    def update(self) -> None:
        """Tell what is known of the active fit, and have the rest found out."""
        fit = self._series.fit
        if fit is None:
            self._asked = None
            self._on_facts([])
            return
        known = self._known[1] if self._known is not None and _alike(self._known[0], fit) else None
        self._on_facts(headline(known, shown_series(fit, self._series.process)))
        if known is not None or fit is self._asked or fit.problem:
            return
        self._asked = fit
        self._session.runner.submit(
            "headline",
            once(_season_of, fit),
            lambda season: self._arrived(fit, season),
            lambda _: None,  # what is wrong with the pairs is told by their series
            policy=Policy.CONFLATE,
            needs=("season",),
        )

    def _arrived(self, fit: Fit, season: xr.Dataset) -> None:
        self._known = (fit, season)
        if self._series.fit is not None and _alike(self._series.fit, fit):
            self.update()


def _alike(one: Fit, other: Fit) -> bool:
    """Tell whether two fits have the same season: it knows nothing of how a series is smoothed."""
    return one is other or (
        one.pairs is other.pairs and one.selection == other.selection and _heard(one) == _heard(other)
    )


def _heard(fit: Fit) -> tuple[Any, ...]:
    """Return the settings that a season follows."""
    return fit.settings.weights, fit.settings.robust, fit.settings.filters


def _season_of(fit: Fit) -> xr.Dataset:
    from itslive_core import fit_season

    return fit_season(fit.pairs, fit.settings, selection=fit.selection)
