"""What is learnt at a pixel, and what is given."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from itslive_core.inversion.solver import SolveOptions

__all__ = ["Account"]


@dataclass(frozen=True)
class Account:
    """Parts of the account of pairs and ice.

    Parameters
    ----------
    level : float or None
        log (lambda / h^k)^2 where lambda is given, in the units of weights of mean 1; None if it is learnt.
    cross_validated : bool
        lambda is that of least generalised cross-validation.
    noise : bool
        The noise of each mission, and the correlation of pairs that share an image, are learnt; else one
        factor of the formal variances.
    robust : bool
        Noise is a Student t.
    offsets, season : bool
        Missions may be offset, and may see displacements that change with the season.
    vary : bool
        Smoothness may change by years and months.
    yearly : bool
        What repeats every year is free of a part of the penalty.
    axes : bool
        The series may change less along one axis than along the other.
    tails : bool
        Changes have heavy tails.
    """

    level: float | None
    cross_validated: bool
    noise: bool
    robust: bool
    offsets: bool
    season: bool
    vary: bool
    yearly: bool
    axes: bool
    tails: bool

    @classmethod
    def of(cls, options: SolveOptions, interval: float) -> Account:
        """Read options, for cells of some days.

        The whole account belongs to ``smoothing="auto"``. With a given lambda, or one of highest evidence,
        the objective is that of the plain penalty, and only what is asked for is learnt beside it.
        """
        whole = options.smoothing == "auto" and not options.plain
        level = None
        if not isinstance(options.smoothing, str):
            level = 2.0 * math.log(options.smoothing / interval**options.derivative)
        return cls(
            level=level,
            cross_validated=options.smoothing == "gcv",
            noise=options.learn_noise,
            robust=options.robust,
            offsets=options.offsets,
            season=options.offsets and whole,
            vary=options.vary,
            yearly=whole,
            axes=whole,
            tails=whole and options.vary,
        )

    @property
    def moves(self) -> bool:
        """Something changes from pass to pass."""
        return self.level is None or self.noise or self.robust or self.offsets or self.vary
