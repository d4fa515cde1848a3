"""A reference from a file: read in the worker, and the active series is held against it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dashboard.control.uploads import uploaded
from dashboard.runner import Policy, once
from dashboard.state.fit import shown_series
from dashboard.state.references import Held
from itslive_core.comparison.reference import Reference, as_reference
from itslive_core.errors import ItsliveError

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

    from dashboard.control.series import SeriesControl
    from dashboard.control.session import Session

__all__ = ["MOST_ROWS", "REFERENCE_SUFFIXES", "ReferenceControl"]

REFERENCE_SUFFIXES = (".csv", ".txt", ".tsv")
MOST_ROWS = 50_000
"""Values of a reference; more are no quicker to see, and each refit holds the series against all of them."""


class ReferenceControl:
    """Holds the series of the active point against a reference, as long as there is one.

    Parameters
    ----------
    session : Session
    series : SeriesControl
        Knows the fits.
    on_held : callable
        Told the reference and what was found; None for none.
    """

    def __init__(
        self, session: Session, series: SeriesControl, on_held: Callable[[Held | None], None]
    ) -> None:
        self._session, self._series, self._on_held = session, series, on_held
        self.held: Held | None = None
        self._asked: xr.Dataset | None = None

    def upload(self, content: bytes, name: str) -> None:
        """Take in a file that a person chose in the browser."""
        if Path(name).suffix.lower() not in REFERENCE_SUFFIXES:
            self._session.messages.error(
                f"{name!r} is no table: choose a CSV with columns start, end (or time) and v, or vx and vy."
            )
            return
        rules = self._session.host.rules

        def work() -> Reference:
            with uploaded(content, name, rules) as path:
                found = as_reference(path)
            if not len(found.start):
                first = f", the first because: {found.problems[0]}" if found.problems else ""
                raise ItsliveError(f"{name} holds no usable row{first}")
            if len(found.start) > MOST_ROWS:
                raise ItsliveError(
                    f"{name} has {len(found.start):,} values, more than {MOST_ROWS:,}: average them first"
                )
            return found

        self._session.messages.clear()
        self._session.runner.submit(
            "reference",
            once(work),
            lambda found: self._take(Held(name, found)),
            self._session.messages.error,
            on_done=self._session.begin(f"Loading {name}", "reference"),
        )

    def remove(self) -> None:
        """Hold the series against nothing any more."""
        self.held = self._asked = None
        self._on_held(None)

    def update(self) -> None:
        """Hold the active series against the reference, unless that is done."""
        held, fit = self.held, self._series.fit
        series = None if fit is None else shown_series(fit, self._series.process)
        if held is None or series is self._asked:
            return
        self._asked = series
        if series is None:
            self._take(replace(held, comparison=None, problem="The active point has no series yet."))
            return

        def work() -> Held:
            from itslive_core import compare

            try:
                return replace(held, comparison=compare(series, held.reference), problem="")
            except ItsliveError as error:
                return replace(held, comparison=None, problem=str(error))

        def take(found: Held) -> None:
            if self.held is not None and self.held.reference is held.reference:
                self._take(found)

        self._session.runner.submit(
            "compare", once(work), take, self._session.messages.error, policy=Policy.CONFLATE
        )

    def _take(self, held: Held) -> None:
        anew = self.held is None or self.held.reference is not held.reference
        self.held = held
        self._on_held(held)
        if anew:
            self._asked = None
            self.update()
