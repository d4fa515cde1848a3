"""The image pair that a person clicked: what is found out about it, and what is left out because of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import param

from dashboard.runner import once
from dashboard.state.picked import Picked, verdict_of
from itslive_core.errors import ItsliveError
from itslive_core.observations.missions import MISSIONS

if TYPE_CHECKING:
    from dashboard.control.diagnosis import DiagnosisControl
    from dashboard.control.series import SeriesControl
    from dashboard.control.session import Session
    from dashboard.state.fit import Fit
    from dashboard.views.series_board import SeriesBoard
    from itslive_core import Diagnosis, ImagePairs
    from itslive_core.cubes.granules import Granule

__all__ = ["PairControl"]


class PairControl(param.Parameterized):
    """Finds out about the pair that was clicked: at once what was measured, then the rest on the worker.

    Parameters
    ----------
    session : Session
    series : SeriesControl
        Knows the fits.
    diagnosis : DiagnosisControl
        Finds out what an estimate makes of its pairs.
    board : SeriesBoard
        Marks the pair.
    """

    picked = param.Parameter(doc="A `Picked`: the pair whose card is open; None for none.")

    def __init__(
        self,
        session: Session,
        series: SeriesControl,
        diagnosis: DiagnosisControl,
        board: SeriesBoard,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self._session, self._series, self._diagnosis, self._board = session, series, diagnosis, board
        self._rows: list[int] = []
        session.filters.param.watch(self._left_out_changed, ["leave_out", "missions"])
        self.param.watch(lambda event: board.show_picked(event.new), "picked")

    def pick(self, rows: list[int]) -> None:
        """Open the card of the first of some pairs.

        Parameters
        ----------
        rows : list of int
            Of those that are drawn, the most likely first.
        """
        fit = self._series.fit
        if fit is None or not rows:
            return
        self._rows = [_row_in(fit.pairs, fit.bars.pairs, row) for row in rows]
        self._open(fit, 0)

    def another(self) -> None:
        """Turn to the next pair that the click may have meant."""
        fit, picked = self._series.fit, self.picked
        if fit is not None and picked is not None:
            self._open(fit, (picked.place + 1) % picked.of)

    def close(self) -> None:
        """Close the card."""
        self._rows, self.picked = [], None
        self._diagnosis.listen(None)

    def update(self) -> None:
        """Close the card when another point is active."""
        fit = self._series.fit
        gone = self._session.selection.point is None
        if self.picked is not None and (gone or (fit is not None and not self._shows(fit.pairs))):
            self.close()

    def leave_out(self, what: str) -> None:
        """Leave out the pair, its earlier or later image with all their pairs, or its mission.

        Parameters
        ----------
        what : {"pair", "first", "second", "mission"}
        """
        picked, filters = self.picked, self._session.filters
        if picked is None:
            return
        if what == "mission":
            filters.missions = [one for one in filters.missions if one != picked.mission]
            return
        names = {"pair": picked.name, "first": picked.images[0], "second": picked.images[1]}
        try:
            filters.leave(names[what])
        except ItsliveError as error:
            self._session.messages.error(str(error))

    def take_back(self) -> None:
        """Use the pair again, and whatever was left out together with it."""
        picked, filters = self.picked, self._session.filters
        if picked is None:
            return
        if picked.reasons:
            filters.take_back(*picked.reasons)
        if picked.mission_out:
            filters.missions = [one for one in MISSIONS if one in (*filters.missions, picked.mission)]

    def _open(self, fit: Fit, place: int) -> None:
        row = self._rows[place]
        self.picked = self._judged(Picked(fit.pairs, row, place, len(self._rows)))
        self._diagnosis.listen(self._found)
        point, cubes = self._session.selection.point, self._session.selection.cubes
        cube = next((one for one in cubes if point is not None and one.url == point.cube_url), None)
        if cube is None:
            return
        self._session.runner.submit(
            "granule",
            once(cube.granule_of, fit.pairs, row),
            lambda granule: self._read(fit.pairs, row, granule),
            self._session.messages.error,
        )

    def _read(self, pairs: ImagePairs, row: int, granule: Granule | None) -> None:
        if self._shows(pairs) and self.picked.row == row:
            self.picked = replace(self.picked, granule=granule)

    def _found(self, fit: Fit, found: Diagnosis) -> None:
        if self._shows(fit.pairs):
            self.picked = replace(self.picked, verdict=verdict_of(found.pairs, self.picked.row, fit))

    def _shows(self, pairs: ImagePairs) -> bool:
        """Whether the card is that of one of these pairs."""
        return self.picked is not None and self.picked.pairs is pairs

    def _judged(self, picked: Picked) -> Picked:
        """Say whether a pair is left out; what the estimate makes of it is not known yet."""
        filters = self._session.filters
        mission_out = picked.mission not in filters.missions
        return replace(picked, left_out=tuple(filters.leave_out), mission_out=mission_out, verdict=None)

    def _left_out_changed(self, *_: Any) -> None:
        if self.picked is not None:
            self.picked = self._judged(self.picked)


def _row_in(pairs: ImagePairs, some: ImagePairs, row: int) -> int:
    """Find a row of some of the pairs among all of them."""
    names = ("start", "end", "vx", "vy", "satellite_1", "satellite_2")
    same = [getattr(pairs, name) == getattr(some, name)[row] for name in names]
    return int(np.flatnonzero(np.logical_and.reduce(same))[0])
