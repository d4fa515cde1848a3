"""Gaussian processes of all pixels of a block, with hyperparameters that neighbours share.

The hyperparameters of kernel and noise are learnt at a few well observed pixels of the block, slow and fast
ones, each in units of its own spread, and their medians serve all. What differs from pixel to pixel is the
spread, the robust weights and the series itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.gaussian_process.band_order import BandOrder
from itslive_core.gaussian_process.data import PixelData
from itslive_core.gaussian_process.dataset import series_columns
from itslive_core.gaussian_process.evidence import squares_of
from itslive_core.gaussian_process.fit import LEAST_PAIRS, Fit, distinct_spans, fit_steps, solve_with
from itslive_core.gaussian_process.learning import HUMBLE
from itslive_core.gaussian_process.means import window_columns
from itslive_core.gaussian_process.model import KernelShape
from itslive_core.gaussian_process.point import harmonics_of
from itslive_core.gaussian_process.torch_arrowhead import TorchArrowhead
from itslive_core.gaussian_process.torch_batch import solve_many
from itslive_core.inversion.prepare import filter_block
from itslive_core.inversion.solver import observations_of
from itslive_core.observations.windows import window_weights
from itslive_core.series.means import means_of_pixels
from itslive_core.series.quality import PairEvidence, flags_of_pairs, quality_of
from itslive_core.support.devices import pick_device
from itslive_core.support.stopping import check_stop

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.gaussian_process.settings import GaussianProcessSettings
    from itslive_core.observations.blocks import PixelBlock
    from itslive_core.observations.shared_pairs import SharedPairs
    from itslive_core.observations.time_grid import TimeGrid
    from itslive_core.observations.windows import Windows

__all__ = ["BLOCK_COLUMNS", "GaussianProcessBlock", "fit_block"]

BLOCK_COLUMNS = ("vx", "vy", "v", "vx_std", "vy_std", "v_std")
"""Variables of the series of a pixel in an area."""

_TRAINING_PIXELS = 3
_WELL_OBSERVED = 0.5
"""Pixels with at least so large a share of the pairs of the best one can be learnt from."""
_TURNS = 1
_MATRICES = 2 * (len(HUMBLE) + _TURNS + 1) * 5
"""Factors that a pixel takes: both components, each turn; a selected inverse counts as four."""


@dataclass(frozen=True, eq=False)
class GaussianProcessBlock:
    """Estimates of P pixels on M cells.

    Parameters
    ----------
    columns : dict of ndarray, shape (P, M)
        `BLOCK_COLUMNS` [m/yr]; NaN in pixels without pairs. And ``quality``, int16.
    count : ndarray of int32, shape (P, M)
        Used pairs that overlap each cell.
    covered : ndarray of float64, shape (P, M)
        Fraction of each cell inside the union of their spans.
    used : ndarray of int, shape (P,)
        Number of used pairs.
    """

    columns: dict[str, NDArray[Any]]
    count: NDArray[np.int32]
    covered: NDArray[np.float64]
    used: NDArray[np.int64]


def fit_block(
    pixels: PixelBlock,
    shared: SharedPairs,
    settings: GaussianProcessSettings,
    windows: Windows | None = None,
) -> GaussianProcessBlock:
    """Filter and fit a block whose pairs already passed the filters on metadata.

    Parameters
    ----------
    pixels : PixelBlock
        P pixels.
    shared : SharedPairs
        Holds the grid of M cells.
    settings : GaussianProcessSettings
        Its method is "span".
    windows : Windows, optional
        Give means over them, in place of cells.
    """
    offsets, pair, vx, vy = filter_block(pixels, shared, settings)
    n, grid = len(offsets) - 1, shared.grid
    result = GaussianProcessBlock(
        columns={name: np.full((n, grid.size), np.nan) for name in BLOCK_COLUMNS},
        count=np.zeros((n, grid.size), dtype=np.int32),
        covered=np.zeros((n, grid.size)),
        used=np.diff(offsets),
    )

    def data_of(p: int) -> PixelData:
        here = slice(int(offsets[p]), int(offsets[p + 1]))
        rows = pair[here]
        return PixelData.make(
            shared.start[rows],
            shared.end[rows],
            vx[here],
            vy[here],
            shared.vx_error[rows],
            shared.vy_error[rows],
            shared.mission[rows],
        )

    weight, square = np.ones(len(pair)), np.full(len(pair), np.nan)
    averages, counts = (
        _Averages.over(windows, grid, n),
        np.zeros((n, windows.size if windows else 0), np.int32),
    )

    def take(p: int, found: Fit, size: int) -> None:
        """Take the series of a pixel, and what it did with its pairs."""
        series, here = series_columns(found, size), slice(int(offsets[p]), int(offsets[p + 1]))
        for name in BLOCK_COLUMNS:
            result.columns[name][p] = series[name]
        weight[here], square[here] = found.trust.u, squares_of(found)
        if averages is not None:
            averages.take(p, found, size)

    harmonics = harmonics_of(settings)
    hyperparameters = _learn([data_of(p) for p in _training_pixels(offsets, vx, vy)], settings, harmonics)
    able: list[tuple[int, PixelData]] = []
    for p in map(int, np.flatnonzero(result.used)):
        check_stop()
        data = data_of(p)
        operator = grid.operator(data.start, data.end)
        result.count[p] = operator.overlaps()
        result.covered[p] = grid.coverage(data.start, data.end)
        if windows is not None:
            counts[p] = windows.overlaps(data.start, data.end)
        if hyperparameters is not None and distinct_spans(data) >= LEAST_PAIRS:
            able.append((p, data))
            continue
        *_, found = fit_steps(
            data,
            settings.interval,
            trend=settings.trend,
            harmonics=harmonics,
            offsets=settings.offsets,
            quick=False,
        )
        take(p, found, 1)
    if hyperparameters is not None and able:
        shape = KernelShape(settings.interval, settings.trend, harmonics)
        layout = shape.layout(grid, shared.operator.bandwidth)
        work = _MATRICES * len(able) * float(layout.unknowns) * BandOrder.of(layout).width ** 2
        # A GPU gives no covariance of cells far apart, which means need.
        if windows is None and pick_device(settings.device, len(able), work) == "cuda":
            many, at = [data for _, data in able], np.array([p for p, _ in able])
            columns, robust, squares = solve_many(
                many,
                grid,
                shape,
                hyperparameters,
                layout,
                TorchArrowhead(),
                offsets=settings.offsets,
                turns=_TURNS,
            )
            for name in BLOCK_COLUMNS:
                result.columns[name][at] = columns[name]
            rows = observations_of(offsets, at)
            weight[rows], square[rows] = robust, squares
        else:
            for p, data in able:
                check_stop()
                missions = data.offset_missions() if settings.offsets else ()
                found = solve_with(
                    data, grid, shape, hyperparameters, missions, turns=_TURNS, layout=layout, jumpy=False
                )
                take(p, found, grid.size)
    evidence = PairEvidence(
        shared.operator, shared.mission, offsets, pair, weight, square, np.ones(len(pair))
    )
    flags = flags_of_pairs(evidence)
    if windows is None or averages is None:
        result.columns["quality"] = quality_of(flags, result.columns, result.covered)
        return result
    means = means_of_pixels(
        grid,
        windows,
        averages.vectors,
        averages.std,
        seen=np.isfinite(result.columns["v"]),
        coverage=result.covered,
        flags=flags,
        counts=counts,
        v_std=averages.v_std,
    )
    names = (*BLOCK_COLUMNS, "quality")
    return replace(
        result,
        columns={name: means[name] for name in names},
        count=means["n_pairs"],
        covered=means["coverage"],
    )


@dataclass(frozen=True, eq=False)
class _Averages:
    """Means of the series of P pixels over g windows, and what averages their cells."""

    weights: NDArray[np.float64]
    vectors: NDArray[np.float64]
    std: NDArray[np.float64]
    v_std: NDArray[np.float64]

    @classmethod
    def over(cls, windows: Windows | None, grid: TimeGrid, pixels: int) -> _Averages | None:
        """Make room; None where no means are wanted."""
        if windows is None:
            return None
        weights = window_weights(grid.first * grid.interval, grid.interval, grid.size, windows.edges)
        vectors, std = np.full((2, pixels, 2, windows.size), np.nan)
        return cls(weights, vectors, std, np.full((pixels, windows.size), np.nan))

    def take(self, p: int, found: Fit, size: int) -> None:
        """Average the series of a pixel; one of one cell is a constant, the same in all windows."""
        constant = np.ones((len(self.weights), 1))
        columns = window_columns(found, self.weights if size > 1 else constant)
        self.vectors[p] = columns["vx"], columns["vy"]
        self.std[p] = columns["vx_std"], columns["vy_std"]
        self.v_std[p] = columns["v_std"]


def _training_pixels(
    offsets: NDArray[np.int64], vx: NDArray[np.float64], vy: NDArray[np.float64]
) -> list[int]:
    """Choose a few well observed pixels, from slow to fast."""
    counts = np.diff(offsets)
    if counts.max(initial=0) < LEAST_PAIRS:
        return []
    able = np.flatnonzero(counts >= max(LEAST_PAIRS, _WELL_OBSERVED * counts.max()))
    speed = [
        float(
            np.hypot(np.median(vx[offsets[p] : offsets[p + 1]]), np.median(vy[offsets[p] : offsets[p + 1]]))
        )
        for p in able
    ]
    ordered = able[np.argsort(speed, kind="stable")]
    places = (np.arange(_TRAINING_PIXELS) + 0.5) / _TRAINING_PIXELS * len(ordered)
    return sorted({int(ordered[int(k)]) for k in places})


def _learn(
    training: list[PixelData], settings: GaussianProcessSettings, harmonics: int
) -> dict[str, float] | None:
    """Learn hyperparameters at some pixels and give their medians; None without any."""
    fits: list[Fit] = []
    for data in training:
        *_, found = fit_steps(
            data,
            settings.interval,
            trend=settings.trend,
            harmonics=harmonics,
            offsets=settings.offsets,
            jumpy=False,
            quick=False,
        )
        if not found.reason:
            fits.append(found)
    if not fits:
        return None
    known = [found.values for found in fits]
    names = dict.fromkeys(name for values in known for name in values)
    return {name: float(np.exp(np.median([np.log(v[name]) for v in known if name in v]))) for name in names}
