"""The one interface of all solvers: a batch of pixels in, their estimates out."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np

from itslive_core.inversion.windows import WindowMeans
from itslive_core.observations.missions import MISSIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from itslive_core.inversion.learning.motion import Motion
    from itslive_core.inversion.learning.region import Region
    from itslive_core.observations.time_grid import SpanOperator

__all__ = [
    "FAILED",
    "MAX_PASSES",
    "MOVE_TOLERANCE",
    "NO_FREEDOM",
    "SETTLED",
    "SOLVED",
    "STIFF",
    "STIFFEST",
    "TOO_FEW",
    "BatchResult",
    "Learnt",
    "NoiseInputs",
    "PixelBatch",
    "SolveOptions",
    "Solver",
    "needed_pairs",
    "observations_of",
]

SOLVED, TOO_FEW, FAILED, NO_FREEDOM = 0, 1, 2, 3
"""Status of a pixel: estimated; too few distinct pairs; not solvable; estimated, but no std can be given."""

MAX_PASSES = 8
"""Most robust passes."""

MOVE_TOLERANCE = 1e-3
"""Robust passes end when no cell moves by more than this share of the noise of a typical pair."""

SETTLED = 0.01
"""lambda is not chosen again once it moved by less than this between passes, twice [decades]."""

STIFF, STIFFEST = 1e3, 1e12
"""Penalty over data, as the ratio of their diagonals: above the first the solution is refined; above the
second only the polynomial that the penalty leaves free is left, and the ratio is held there."""


_OF_OBSERVATIONS = {"robust_weights", "credit", "sigma"}
"""Arrays of results with a value for each observation."""
_APART = {"learnt", "means"}
"""Parts of a result with arrays of their own."""


def needed_pairs(derivative: int) -> int:
    """Fewest pairs with distinct (start, end) for which a pixel is estimated: k + 3."""
    return derivative + 3


def observations_of(offsets: NDArray[np.int64], pixels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give the numbers of the observations of some pixels, one pixel after the other.

    Parameters
    ----------
    offsets : ndarray of int64, shape (P + 1,)
        Pixel p owns observations offsets[p]:offsets[p + 1].
    pixels : ndarray of int, shape (q,)
    """
    sizes = offsets[pixels + 1] - offsets[pixels]
    begins = np.cumsum(sizes) - sizes
    return np.repeat(offsets[pixels] - begins, sizes) + np.arange(sizes.sum())


@dataclass(frozen=True, eq=False)
class NoiseInputs:
    """What the noise of the observations depends on.

    Parameters
    ----------
    variance : ndarray of float64, shape (n,)
        Formal variance of each observation, up to a factor [m^2/yr^2].
    mission : ndarray of int64, shape (T,)
        Position of each pair's mission in `itslive_core.observations.missions.MISSIONS`.
    first_image, second_image : ndarray of int32, shape (T,)
        Number of the earlier and of the later image of each pair.
    images : int
        Number of images.
    """

    variance: NDArray[np.float64]
    mission: NDArray[np.int64]
    first_image: NDArray[np.int32]
    second_image: NDArray[np.int32]
    images: int


class Course(NamedTuple):
    """How the neighbours of a pixel with few pairs move.

    Parameters
    ----------
    motion : Motion
    weights : ndarray, shape (n,)
        Of its pairs, as it was estimated without neighbours: 1 / variance times trust and credit.
    """

    motion: Motion
    weights: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PixelBatch:
    """The used pairs of P pixels on one time grid.

    Parameters
    ----------
    operator : SpanOperator
        Rows for all T pairs that the pixels refer to.
    span_id : ndarray of int32, shape (T,)
        Equal for pairs with the same (start, end).
    offsets : ndarray of int64, shape (P + 1,)
        Pixel p owns observations offsets[p]:offsets[p + 1].
    pair : ndarray of int32, shape (n,)
        Row of the operator of each observation.
    vx, vy : ndarray of float64, shape (n,)
        Velocity [m/yr].
    weights : ndarray of float64, shape (n,)
        Weights of mean 1 over each pixel.
    noise : NoiseInputs, optional
        Needed where the noise or offsets are learnt.
    fine : SpanOperator, optional
        The same rows on the finer cells of the solution, if these are finer than those of the series.
    parts : int
        How many of them a cell of the series has.
    region : Region, optional
        What the pixels share, learnt before; without one each pixel learns for itself.
    number : int
        Of the first pixel in the region: a pixel does not borrow from itself.
    courses : mapping of int to Course, optional
        What some pixels of the batch expect of their neighbours' course.
    windows : ndarray, shape (g + 1,), optional
        Edges of windows over which means are wanted, too [days since 1970-01-01].
    """

    operator: SpanOperator
    span_id: NDArray[np.int32]
    offsets: NDArray[np.int64]
    pair: NDArray[np.int32]
    vx: NDArray[np.float64]
    vy: NDArray[np.float64]
    weights: NDArray[np.float64]
    noise: NoiseInputs | None = None
    fine: SpanOperator | None = None
    parts: int = 1
    region: Region | None = None
    number: int = 0
    courses: Mapping[int, Course] | None = None
    windows: NDArray[np.float64] | None = None

    @property
    def n_pixels(self) -> int:
        """Number of pixels, P."""
        return len(self.offsets) - 1


@dataclass(frozen=True)
class SolveOptions:
    """What to minimise: see `itslive_core.inversion.point`.

    Parameters
    ----------
    derivative : int
        Order k of the penalised difference, 1 or 2.
    smoothing : float or str
        lambda; or how to choose it for each pixel: ``"evidence"``, ``"gcv"``, or ``"auto"``, that of
        cross-validation but not far below that of the evidence.
    robust : bool
        Reweight by Student's t: see `itslive_core.support.student`.
    uncertainty : bool
        Compute the variance of every cell.
    learn_noise : bool
        Learn scale and floor of each mission's noise, and the correlation of pairs that share an image.
    offsets : bool
        Estimate offsets between missions.
    vary : bool
        Let the smoothing change in time.
    plain : bool
        The prior of the series is the plain penalty also where lambda is chosen: others build on it.
    together : bool
        Pixels of a block share what they learn.
    """

    derivative: int
    smoothing: float | Literal["auto", "evidence", "gcv"]
    robust: bool
    uncertainty: bool
    learn_noise: bool = False
    offsets: bool = False
    vary: bool = False
    plain: bool = False
    together: bool = False

    @property
    def learns(self) -> bool:
        """More is learnt from the data than robust weights."""
        return self.smoothing == "auto" or self.learn_noise or self.offsets or self.vary


@dataclass(frozen=True, eq=False)
class Learnt:
    """What was learnt at P pixels beside the series.

    Parameters
    ----------
    credit : ndarray, shape (n,)
        Share of an independent pair that each observation is worth, because of shared images.
    sigma : ndarray, shape (n,)
        Standard deviation of the noise of each observation, per component [m/yr].
    scale, floor, jitter : ndarray, shape (P, missions)
        sigma^2 = scale^2 (formal^2 + floor^2 + (jitter / span)^2); floor in m/yr, jitter in m; NaN for
        missions without pairs.
    offset, offset_std : ndarray, shape (P, 2, missions)
        Offset of each mission in vx and vy, 0 for the reference; its standard deviation, NaN there [m/yr].
    correlation : ndarray, shape (P,)
        Correlation of the noise of pairs that share an image.
    profile : ndarray, shape (P, M)
        lambda at each cell; NaN outside the pixel's own range.
    yearly : ndarray, shape (P, M)
        The same of what changes from year to year; 0 where that is not looked at.
    stiffer : ndarray, shape (P,)
        By how much both are larger across `axis`.
    axis : ndarray, shape (P,)
        Direction along which the series changes most: angle from x towards y [radians].
    season : ndarray, shape (P, 2, missions, 4)
        Seasonal displacement of each mission in x and y [m]; see `itslive_core.inversion.learning.border`.
    """

    credit: NDArray[np.float64]
    sigma: NDArray[np.float64]
    scale: NDArray[np.float64]
    floor: NDArray[np.float64]
    jitter: NDArray[np.float64]
    offset: NDArray[np.float64]
    offset_std: NDArray[np.float64]
    correlation: NDArray[np.float64]
    profile: NDArray[np.float64]
    yearly: NDArray[np.float64]
    stiffer: NDArray[np.float64]
    axis: NDArray[np.float64]
    season: NDArray[np.float64]

    @classmethod
    def blank(cls, batch: PixelBatch) -> Learnt:
        """Make the arrays that a solver fills.

        Parameters
        ----------
        batch : PixelBatch
        """
        pixels, cells, n = batch.n_pixels, batch.operator.grid.size, len(batch.pair)
        missions = len(MISSIONS)
        return cls(
            credit=np.ones(n),
            sigma=np.full(n, np.nan),
            scale=np.full((pixels, missions), np.nan),
            floor=np.full((pixels, missions), np.nan),
            jitter=np.full((pixels, missions), np.nan),
            offset=np.zeros((pixels, 2, missions)),
            offset_std=np.full((pixels, 2, missions), np.nan),
            correlation=np.zeros(pixels),
            profile=np.full((pixels, cells), np.nan),
            yearly=np.full((pixels, cells), np.nan),
            stiffer=np.ones(pixels),
            axis=np.zeros(pixels),
            season=np.zeros((pixels, 2, missions, 4)),
        )


@dataclass(frozen=True, eq=False)
class BatchResult:
    """Estimates of P pixels on M cells.

    Parameters
    ----------
    values : ndarray of float64, shape (P, 2, M)
        vx and vy [m/yr]; NaN in cells that no pair overlaps and in pixels without an estimate.
    std : ndarray of float64, shape (P, 2, M)
        Standard deviation [m/yr]; NaN where not given; of length 0 in the last axis if not asked for.
    count : ndarray of int32, shape (P, M)
        Used pairs that overlap each cell.
    covered : ndarray of float64, shape (P, M)
        Fraction of each cell inside the union of their spans.
    smoothing : ndarray, shape (P,)
        lambda that was used.
    edf : ndarray, shape (P,)
        Effective degrees of freedom of the fit, trace(N^-1 A'WA); NaN if not computed.
    passes : ndarray of int32, shape (P,)
        Robust passes made.
    status : ndarray of int8, shape (P,)
        `SOLVED`, `TOO_FEW`, `FAILED` or `NO_FREEDOM`.
    robust_weights : ndarray, shape (n,)
        u of each observation, between 0 and 1.25.
    learnt : Learnt, optional
        Noise, offsets and smoothing in time, where they were learnt.
    means : WindowMeans, optional
        Over the windows of the batch.
    """

    values: NDArray[np.float64]
    std: NDArray[np.float64]
    count: NDArray[np.int32]
    covered: NDArray[np.float64]
    smoothing: NDArray[np.float64]
    edf: NDArray[np.float64]
    passes: NDArray[np.int32]
    status: NDArray[np.int8]
    robust_weights: NDArray[np.float64]
    learnt: Learnt | None = None
    means: WindowMeans | None = None

    @classmethod
    def blank(cls, batch: PixelBatch, *, uncertainty: bool) -> BatchResult:
        """Make the arrays that a solver fills: nothing is estimated yet.

        Parameters
        ----------
        batch : PixelBatch
        uncertainty : bool
            Make room for standard deviations.
        """
        pixels, cells = batch.n_pixels, batch.operator.grid.size
        return cls(
            values=np.full((pixels, 2, cells), np.nan),
            std=np.full((pixels, 2, cells if uncertainty else 0), np.nan),
            count=np.zeros((pixels, cells), dtype=np.int32),
            covered=np.zeros((pixels, cells)),
            smoothing=np.full(pixels, np.nan),
            edf=np.full(pixels, np.nan),
            passes=np.zeros(pixels, dtype=np.int32),
            status=np.zeros(pixels, dtype=np.int8),
            robust_weights=np.ones(len(batch.pair)),
            means=WindowMeans.blank(pixels, batch.windows),
        )

    def write_series(
        self, pixel: int, cells: slice, series: NDArray[np.float64], std: NDArray[np.float64] | None
    ) -> None:
        """Write the series of a pixel and its standard deviations, if given, where pairs overlap cells.

        Parameters
        ----------
        pixel : int
            Its place in the batch.
        cells : slice
            Its own range of the grid, m cells.
        series, std : ndarray, shape (2, m)
            [m/yr]
        """
        seen = self.count[pixel, cells] > 0
        self.values[pixel, :, cells] = np.where(seen, series, np.nan)
        if std is not None:
            self.std[pixel, :, cells] = np.where(seen, std, np.nan)

    def series_of(self, pixel: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give the series of a pixel and its standard deviations, shape (2, M) each, as copies."""
        return self.values[pixel].copy(), self.std[pixel].copy()

    def put(self, pixels: NDArray[np.intp], observations: NDArray[np.int64], part: BatchResult) -> None:
        """Replace the results of some pixels, in place; parameters as for `part`."""
        for own, new in ((self, part), (self.learnt, part.learnt), (self.means, part.means)):
            if own is None or new is None:
                continue
            for name in (f.name for f in fields(own) if f.name not in _APART):
                where = observations if name in _OF_OBSERVATIONS else pixels
                getattr(own, name)[where] = getattr(new, name)

    def part(self, pixels: slice, observations: slice) -> BatchResult:
        """Give the results of some pixels, as views.

        Parameters
        ----------
        pixels, observations : slice
            The pixels, and their observations.
        """

        def cut(whole: BatchResult | Learnt | WindowMeans) -> dict[str, Any]:
            arrays = {f.name: getattr(whole, f.name) for f in fields(whole) if f.name not in _APART}
            return {
                name: values[observations if name in _OF_OBSERVATIONS else pixels]
                for name, values in arrays.items()
            }

        learnt = None if self.learnt is None else Learnt(**cut(self.learnt))
        means = None if self.means is None else WindowMeans(**cut(self.means))
        return BatchResult(**cut(self), learnt=learnt, means=means)


class Solver(Protocol):
    """Solves batches of pixels; implementations differ in speed, not in results."""

    def solve(self, batch: PixelBatch, options: SolveOptions) -> BatchResult:
        """Estimate every pixel of a batch."""
        ...


def smoothing_limits(derivative: int, interval: float) -> tuple[float, float]:
    """Give the range in which lambda is searched for.

    It spans the series from as rough as noise to a straight line, and moves with sqrt(h), which keeps the
    smoothness of the series when the interval changes.

    Parameters
    ----------
    derivative : int
        k.
    interval : float
        h [days].

    Returns
    -------
    low, high : float
    """
    low, high = (0.1, 1e5) if derivative == 1 else (1.0, 1e6)
    factor = float(np.sqrt(interval / 12.0))
    return low * factor, high * factor
