"""Season and trend of many pixels: rows of the model for the pairs of a cube, and the fit of a block.

The model is that of `itslive_core.season.point`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.inversion.prepare import filter_block
from itslive_core.observations.weights import observation_weights
from itslive_core.season.algebra import SeasonDesign
from itslive_core.season.fit import SeasonFacts, fit_pixels
from itslive_core.season.kernels import ImagesOfPairs, MonthsOfPairs, SeasonData
from itslive_core.season.settling import SeasonOptions
from itslive_core.support.constants import DAYS_PER_YEAR, MONTHS_PER_YEAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.inversion.settings import InversionSettings
    from itslive_core.observations.batches import Observations
    from itslive_core.observations.blocks import PixelBlock
    from itslive_core.observations.shared_pairs import SharedPairs

__all__ = [
    "AREA_VARIABLES",
    "SeasonRows",
    "Seasons",
    "day_of_maximum",
    "options_of",
    "season_of_block",
    "season_of_pixels",
]

ORIGIN = 10_957.0
"""1 January 2000 [days since 1970-01-01]: phase 0; it stays within a day of any 1 January."""

_SIGNIFICANT = 2.0
_ALONG = "along the mean flow"
_STD = "standard deviation"
AREA_VARIABLES: dict[str, dict[str, Any]] = {
    "season_amplitude": {
        "long_name": f"amplitude of the annual harmonic of the velocity {_ALONG}, in an average year",
        "units": "m/yr",
        "ancillary_variables": "season_amplitude_std",
    },
    "season_amplitude_std": {"long_name": f"{_STD} of season_amplitude", "units": "m/yr"},
    "season_day": {
        "long_name": "days from 1 January to the maximum of the annual harmonic",
        "units": "day",
        "ancillary_variables": "season_day_std",
        "comment": "circular, 0 and 365.25 are the same; missing where the amplitude is below two standard "
        "deviations",
    },
    "season_day_std": {"long_name": f"{_STD} of season_day", "units": "day"},
    "mean_speed": {
        "long_name": "mean speed over the months that image pairs cover, without the season",
        "units": "m/yr",
        "ancillary_variables": "mean_speed_std",
    },
    "mean_speed_std": {"long_name": f"{_STD} of mean_speed", "units": "m/yr"},
    "trend": {
        "long_name": f"slope of the straight line through the velocity {_ALONG} over the months that image "
        "pairs cover, without the season",
        "units": "m/yr^2",
        "ancillary_variables": "trend_std",
    },
    "trend_std": {"long_name": f"{_STD} of trend", "units": "m/yr^2"},
}
"""Attributes of the variables of each pixel of an area."""


@dataclass(frozen=True, eq=False)
class SeasonRows:
    """What background and season contribute to the pairs of a cube, or of one pixel: computed once.

    Parameters
    ----------
    first_year : int
        Years since 2000 of the unknowns that come first.
    data : SeasonData
        Rows of the T pairs.
    """

    first_year: int
    data: SeasonData

    @classmethod
    def make(
        cls,
        start: NDArray[np.float64],
        end: NDArray[np.float64],
        mission: NDArray[np.int64] | None = None,
    ) -> SeasonRows:
        """Average hats and sinusoids over spans, exactly.

        The mean of sin 2 pi t over [p, q) is sin(pi (p + q)) sinc(q - p), sinc(x) = sin(pi x) / (pi x).

        Parameters
        ----------
        start, end : ndarray of float64, shape (T,)
            Acquisition dates, start < end [days since 1970-01-01].
        mission : ndarray of int64, shape (T,), optional
            Positions in `itslive_core.observations.missions.MISSIONS`; by default all are of one mission.
        """
        a, b = (start - ORIGIN) / DAYS_PER_YEAR, (end - ORIGIN) / DAYS_PER_YEAR
        first = np.floor(a).astype(np.int64)
        parts = np.maximum(np.ceil(b).astype(np.int64) - first, 1)
        begin = np.concatenate(([0], np.cumsum(3 * parts + 1)))
        pair = np.repeat(np.arange(len(a)), parts)
        part = np.arange(len(pair)) - np.repeat(np.cumsum(parts) - parts, parts)
        year = first[pair] + part
        low, high = np.maximum(a[pair], year), np.minimum(b[pair], year + 1)
        share = (high - low) / (b - a)[pair]
        middle = 0.5 * (low + high) - year
        lobe = share * np.sinc(high - low)
        at = begin[pair] + 3 * part
        coefficient = np.zeros(begin[-1])
        coefficient[at] = share * (1.0 - middle)
        coefficient[at + 1] = lobe * np.sin(2.0 * np.pi * middle)
        coefficient[at + 2] = lobe * np.cos(2.0 * np.pi * middle)
        coefficient[at + 3] += share * middle  # after the line for `at`, which is the next part's
        base = int(first.min()) if len(first) else 0
        phase, length = 0.5 * (a + b) % 1.0, b - a
        waves = [
            wave(2.0 * np.pi * k * phase) * np.sinc(k * length) for k in (2, 3) for wave in (np.sin, np.cos)
        ]
        dates, image = np.unique(np.concatenate((start, end)), return_inverse=True)
        images = ImagesOfPairs(*image.reshape(2, -1).astype(np.int64))
        span_id = np.unique(images.first * len(dates) + images.second, return_inverse=True)[1]
        month0 = np.floor((a - base) * MONTHS_PER_YEAR).astype(np.int64)
        month1 = np.maximum(np.ceil((b - base) * MONTHS_PER_YEAR).astype(np.int64), month0 + 1)
        overtone = np.ascontiguousarray(np.stack(waves, axis=1))
        data = SeasonData(
            design=SeasonDesign(3 * (first - base), begin, coefficient, overtone),
            months=MonthsOfPairs(month0, month1),
            images=images,
            n_images=len(dates),
            start=a,
            end=b,
            span_id=span_id.reshape(-1).astype(np.int32),
            mission=np.zeros(len(a), dtype=np.int64) if mission is None else mission,
        )
        return cls(base, data)


@dataclass(frozen=True, eq=False)
class Seasons:
    """What was found at P pixels; NaN where nothing can be said.

    Parameters
    ----------
    facts : ndarray of float64, shape (P, number of facts)
        `SeasonFacts` of each pixel.
    status : ndarray of int8, shape (P,)
    robust_weights : ndarray, shape (n,)
        u of each observation.
    weights : ndarray, shape (n,)
        Inverse variances, of mean 1 over each pixel.
    offset : ndarray, shape (P, 2, missions)
        Of vx and vy from the reference mission [m/yr].
    """

    facts: NDArray[np.float64]
    status: NDArray[np.int8]
    robust_weights: NDArray[np.float64]
    weights: NDArray[np.float64]
    offset: NDArray[np.float64]

    def fact(self, name: str) -> NDArray[np.float64]:
        """Give one of the fields of `SeasonFacts`, shape (P,)."""
        return self.facts[:, SeasonFacts._fields.index(name)]

    def pixel(self, p: int) -> SeasonFacts:
        """Give what was found at one pixel."""
        return SeasonFacts(*self.facts[p].tolist())

    @property
    def significant(self) -> NDArray[np.bool_]:
        """The amplitude is at least twice its standard deviation, shape (P,)."""
        amplitude = np.hypot(self.fact("sine"), self.fact("cosine"))
        return amplitude >= _SIGNIFICANT * np.sqrt(self.fact("amplitude_variance"))

    def variables(self) -> dict[str, NDArray[np.float64]]:
        """Give the variables of `SEASON_VARIABLES`, each of shape (P,)."""
        sine, cosine = self.fact("sine"), self.fact("cosine")
        amplitude = np.hypot(sine, cosine)
        day, day_std = day_of_maximum(sine, cosine, self.fact("phase_variance"))
        return {
            "season_amplitude": amplitude,
            "season_amplitude_std": np.sqrt(self.fact("amplitude_variance")),
            "season_day": np.where(self.significant, day, np.nan),
            "season_day_std": np.where(self.significant, day_std, np.nan),
            "mean_speed": np.hypot(self.fact("mean_vx"), self.fact("mean_vy")),
            "mean_speed_std": np.sqrt(self.fact("mean_variance")),
            "trend": self.fact("trend"),
            "trend_std": np.sqrt(self.fact("trend_variance")),
        }


def day_of_maximum(
    sine: NDArray[np.float64], cosine: NDArray[np.float64], variance: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Day of the maximum of S sin + C cos after 1 January, and its standard deviation [days]."""
    turn = DAYS_PER_YEAR / (2.0 * np.pi)
    with np.errstate(divide="ignore", invalid="ignore"):
        std = turn * np.sqrt(variance) / np.hypot(sine, cosine)
    return (turn * np.arctan2(sine, cosine)) % DAYS_PER_YEAR, std


def season_of_pixels(
    rows: SeasonRows,
    observations: Observations,
    weights: NDArray[np.float64],
    options: SeasonOptions | None = None,
) -> Seasons:
    """Fit background and season at many pixels, whose pairs are already filtered and weighted.

    Parameters
    ----------
    rows : SeasonRows
    observations : Observations
        n observations of P pixels; their pairs are those of `rows`.
    weights : ndarray, shape (n,)
        Inverse variances, of mean 1 over each pixel.
    options : SeasonOptions, optional
        Default: all that can be learnt is.

    Returns
    -------
    Seasons
    """
    options = SeasonOptions() if options is None else options
    return Seasons(*fit_pixels(rows.data, observations, weights, options))


def options_of(settings: InversionSettings, inflation: float | None = None) -> SeasonOptions:
    """Say how settings want a season fitted.

    Offsets of missions are always unknowns. The noise of missions is learnt where formal errors weigh the
    pairs: other weights are a choice of whoever set them.

    Parameters
    ----------
    settings : InversionSettings
    inflation : float, optional
        See `SeasonOptions`.
    """
    return SeasonOptions(settings.robust, inflation, learn_noise=settings.weights == "error")


def season_of_block(
    pixels: PixelBlock,
    shared: SharedPairs,
    settings: InversionSettings,
    *,
    rows: SeasonRows | None = None,
    inflation: float | None = None,
    filtered: Observations | None = None,
) -> Seasons:
    """Filter, weight and fit a block whose pairs already passed the filters on metadata.

    Parameters
    ----------
    pixels : PixelBlock
        P pixels.
    shared : SharedPairs
    settings : InversionSettings
        Gives weights, filters on values, whether the fit is robust, and what it may learn.
    rows : SeasonRows, optional
        Of the pairs of `shared`, where many blocks share them.
    inflation : float, optional
        See `SeasonOptions`.
    filtered : Observations, optional
        What the filters on values left, where that is known.

    Returns
    -------
    Seasons
    """
    rows = SeasonRows.make(shared.start, shared.end, shared.mission) if rows is None else rows
    used = filter_block(pixels, shared, settings) if filtered is None else filtered
    weights = observation_weights(
        settings.weights,
        used.offsets,
        used.pair,
        shared.end - shared.start,
        shared.vx_error,
        shared.vy_error,
        shared.mission,
    )
    return season_of_pixels(rows, used, weights, options_of(settings, inflation))
