"""Looks into the estimate of the active point, while somebody wants to see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dashboard.runner import Policy, once

if TYPE_CHECKING:
    from collections.abc import Callable

    from dashboard.control.series import SeriesControl
    from dashboard.control.session import Session
    from dashboard.state.fit import Fit
    from dashboard.views.diagnosis.tab import DiagnosisView
    from dashboard.views.series_board import SeriesBoard
    from itslive_core import Diagnosis

__all__ = ["DiagnosisControl"]

_OF_INVERSION = "Diagnostics look into the inversion. Choose Inversion or Both under Estimate, Method."


class DiagnosisControl:
    """Diagnoses the fit of the active point in the worker, and sends it to the tab and the series.

    Parameters
    ----------
    session : Session
        Worker and messages.
    series : SeriesControl
        Knows the fits.
    board : SeriesBoard
        Crosses rejected pairs out.
    make_view : callable
        Makes the tab when it is first opened.
    """

    def __init__(
        self,
        session: Session,
        series: SeriesControl,
        board: SeriesBoard,
        make_view: Callable[[], DiagnosisView],
    ) -> None:
        self._session, self._series, self._board = session, series, board
        self._make_view = make_view
        self.view: DiagnosisView | None = None
        self._open = self._crosses = False
        self._asked: Fit | None = None
        self._known: tuple[Fit, Diagnosis] | None = None
        self._listener: Callable[[Fit, Diagnosis], None] | None = None
        series.on_fit = self.ask

    def open(self, shown: bool) -> None:
        """Show the tab, or leave it."""
        self._open = shown
        if shown and self.view is None:
            self.view = self._make_view()
            self._session.runner.later("diagnosis figures", self.view.complete)
        self._board.reflect(self.view.series if shown and self.view is not None else None)
        self.update()

    def cross_out(self, shown: bool) -> None:
        """Cross out the pairs that are not used, or end that."""
        self._crosses = shown
        self.update()

    def listen(self, listener: Callable[[Fit, Diagnosis], None] | None) -> None:
        """Tell somebody what is found from now on, also where it is known already; None ends that."""
        self._listener = listener
        self.update()

    def update(self, *_: Any) -> None:
        """Look into what is active now, if somebody wants to see it."""
        fit = self._series.fit
        if not self._crosses or (self._known and fit is not None and self._known[0].pairs is not fit.pairs):
            self._board.show_rejected(None)
        if not (self._open or self._crosses or self._listener):
            return
        if fit is None or fit.series is None:
            reading = fit is None and self._session.selection.point is not None
            if self.view is not None and not reading:
                self.view.show(None, fit.problem or _OF_INVERSION if fit else "")
        if fit is None or not self._wanted(fit):
            self._asked = None
            return
        if self._known is not None and self._known[0] is fit:
            self._send(*self._known)
        self.ask()

    def ask(self) -> None:
        """Have the active fit looked into, if somebody wants to see it and it is not known yet."""
        from itslive_core import diagnose

        fit = self._series.fit
        if fit is None or not self._wanted(fit):
            return
        if fit is self._asked or (self._known is not None and self._known[0] is fit):
            return
        self._asked = fit
        self._session.runner.submit(
            "diagnose",
            once(lambda: diagnose(fit.pairs, fit.settings, selection=fit.selection)),
            lambda found: self._arrived(fit, found),
            self._failed,
            policy=Policy.CONFLATE,
        )

    def _wanted(self, fit: Fit) -> bool:
        """Whether somebody wants to see a diagnosis; without an inversion it tells only what filters took."""
        if fit.series is None:
            return (self._crosses or self._listener is not None) and not fit.problem
        return self._open or self._crosses or self._listener is not None

    def _arrived(self, fit: Fit, found: Diagnosis) -> None:
        now = self._series.fit
        if now is None or now.pairs is not fit.pairs:
            return  # another point is active by now
        self._known = (fit, found)
        self._session.runner.later("diagnosis", lambda: self._send(fit, found))

    def _send(self, fit: Fit, found: Diagnosis) -> None:
        inverted = fit.series is not None
        if self._listener is not None:
            self._listener(fit, found)
        if self._open and self.view is not None and inverted:
            self.view.show(found, fit.problem, offsets=fit.settings.estimates_offsets)
        if self._crosses:
            # Weights of the inversion say nothing about another estimate.
            self._board.show_rejected(found.pairs if inverted else found.pairs.assign(weight=1.0))

    def _failed(self, message: str) -> None:
        self._asked = None
        self._session.messages.error(message)
