"""The image pair that a person clicked: what is known of it, as plain data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from itslive_core.observations.left_out import image_name, is_left_out, pair_name

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from dashboard.state.fit import Fit
    from itslive_core import ImagePairs
    from itslive_core.cubes.granules import Granule

__all__ = ["Picked", "Verdict", "verdict_of"]


@dataclass(frozen=True)
class Verdict:
    """What the estimate makes of a pair.

    Parameters
    ----------
    rejected_by : str
        The step that took it; empty where it is used.
    weight : float
        In the robust fit.
    sigma : float
        Assumed standard error of a component [m/yr].
    along, across : float
        Residual along the local flow and across it [m/yr].
    """

    rejected_by: str
    weight: float = math.nan
    sigma: float = math.nan
    along: float = math.nan
    across: float = math.nan


@dataclass(frozen=True, eq=False)
class Picked:
    """One of the pairs of a point.

    Parameters
    ----------
    pairs : ImagePairs
        All pairs at its pixel.
    row : int
        Which of them.
    place, of : int
        It is number ``place``, from 0 on, of so many where the click was.
    left_out : tuple of str
        What is left out by hand, by name.
    mission_out : bool
        Its mission is switched off.
    verdict : Verdict or None
        What the estimate makes of it; None while that is not known.
    granule : Granule or None
        What it was made from; None where that is not known.
    """

    pairs: ImagePairs
    row: int
    place: int = 0
    of: int = 1
    left_out: tuple[str, ...] = ()
    mission_out: bool = False
    verdict: Verdict | None = None
    granule: Granule | None = None

    @property
    def mission(self) -> str:
        """Its mission."""
        return str(self.pairs.mission[self.row])

    @property
    def satellites(self) -> tuple[str, str]:
        """Codes of the satellites of the earlier and of the later image."""
        return str(self.pairs.satellite_1[self.row]), str(self.pairs.satellite_2[self.row])

    @property
    def dates(self) -> tuple[float, float]:
        """When its images were taken [days since 1970-01-01 UTC]."""
        return float(self.pairs.start[self.row]), float(self.pairs.end[self.row])

    @property
    def late(self) -> bool:
        """It lies in the later half of the time that pairs cover."""
        pairs = self.pairs
        return sum(self.dates) > float(pairs.start.min()) + float(pairs.end.max())

    @property
    def name(self) -> str:
        """What it is left out by."""
        return pair_name(*self.dates, *self.satellites)

    @property
    def images(self) -> tuple[str, str]:
        """What its images are left out by."""
        (first, second), (one, other) = self.dates, self.satellites
        return image_name(first, one), image_name(second, other)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Which names of what is left out by hand take this pair."""
        return tuple(name for name in self.left_out if self._taken(name)[self.row])

    @property
    def is_out(self) -> bool:
        """It is left out by hand, or with its mission."""
        return self.mission_out or bool(self.reasons)

    def count(self, name: str) -> int:
        """Count the pairs at this point that a name takes."""
        return int(self._taken(name).sum())

    def _taken(self, name: str) -> NDArray[np.bool_]:
        pairs = self.pairs
        return is_left_out([name], pairs.start, pairs.end, pairs.satellite_1, pairs.satellite_2)


def verdict_of(table: pd.DataFrame, row: int, fit: Fit) -> Verdict:
    """Read what an estimate makes of a pair out of ``Diagnosis.pairs``."""
    found = table.iloc[row]
    if fit.series is None:  # weights of the inversion say nothing about another estimate
        return Verdict(str(found["rejected_by"]))
    numbers = (float(found[name]) for name in ("weight", "sigma", "residual", "residual_across"))
    return Verdict(str(found["rejected_by"]), *numbers)
