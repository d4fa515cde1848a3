"""What is known of a point: its pairs, its estimates, and how that is said in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from itslive_core.estimators import estimator_of

if TYPE_CHECKING:
    import xarray as xr

    from dashboard.state.choices import Choices
    from dashboard.state.pictures import Bars
    from itslive_core import ImagePairs, InversionSettings, PairSelection
    from itslive_core.settings import Settings

__all__ = ["Fit", "Process", "cautions_of", "nothing_left", "saved_series", "shown_series", "summary_of"]


@dataclass(frozen=True)
class Fit:
    """What is known of a point.

    Parameters
    ----------
    pairs : ImagePairs
        All pairs at its pixel.
    shown : ImagePairs
        Those that the filters on metadata leave, and those that were left out by hand.
    selection : PairSelection
        Those filters.
    settings : InversionSettings
        Settings of the estimate.
    bars : Bars
        The pairs shown, and which of them the filter on values keeps.
    series : Dataset or None
        The inversion, where it is wanted.
    problem : str
        Why there is no estimate.
    """

    pairs: ImagePairs
    shown: ImagePairs
    selection: PairSelection
    settings: InversionSettings
    bars: Bars
    series: xr.Dataset | None = None
    problem: str = ""

    @property
    def n_chosen(self) -> int:
        """Number of the pairs that all filters on metadata leave."""
        return len(self.shown) - int(self.bars.left_out.sum())


@dataclass(frozen=True)
class Process:
    """What another estimator than the inversion says of a point: the Gaussian process, most of the time.

    Parameters
    ----------
    settings : Settings
        What was asked for.
    selection : PairSelection
        Filters on metadata.
    series : Dataset or None
        The estimate; while another one is on its way still the one before.
    pending : bool
        Another, or the refined one, is on its way.
    problem : str
        Why there is none.
    """

    settings: Settings
    selection: PairSelection
    series: xr.Dataset | None = None
    pending: bool = False
    problem: str = ""

    def answers(self, choices: Choices) -> bool:
        """Whether this is, or will be, what is asked for."""
        return self.settings == choices.process and self.selection == choices.selection

    @property
    def words(self) -> str:
        """How far it is, or what went wrong, in words; nothing once it is there."""
        if self.pending and not self.problem:
            quick = self.series is not None and not self.series.attrs.get("refined", 1)
            return "first pass, refining …" if quick else "fitting …"
        reason = self.problem or ("" if self.series is None else str(self.series.attrs.get("reason", "")))
        return f"{self.label}: {reason}" if reason else ""

    @property
    def label(self) -> str:
        """Name of the estimator."""
        return estimator_of(self.settings).label


def shown_series(fit: Fit, process: Process | None) -> xr.Dataset | None:
    """Return the series that is drawn as the main one: the inversion, else the Gaussian process."""
    return fit.series if fit.series is not None or process is None else process.series


def saved_series(fit: Fit | None, process: Process | None) -> xr.Dataset | None:
    """Return the series that the files hold: of both the Gaussian process, once it is refined."""
    if fit is None or process is None:
        return fit.series if fit else None
    return None if process.pending else process.series


def cautions_of(fit: Fit | None, process: Process | None = None) -> list[str]:
    """Return what the series that is drawn should not be trusted for, in sentences."""
    series = None if fit is None else shown_series(fit, process)
    return [] if series is None else str(series.attrs.get("warnings", "")).splitlines()


def nothing_left(total: int) -> str:
    """Say that the filters took all pairs of a point, and what to do."""
    return f"All pairs were filtered out: 0 of {total:,} left. Widen the dates, spans or missions under Data."


def summary_of(fit: Fit, process: Process | None = None) -> str:
    """Say in one line what was used and what was chosen."""
    total = len(fit.pairs)
    if fit.problem:
        return fit.problem
    series = shown_series(fit, process)
    how_far = [process.words] if process is not None and process.words else []
    if series is None:
        return " · ".join([f"{fit.n_chosen:,} of {total:,} image pairs", *how_far])
    used = int(series.attrs.get("n_pairs_used", fit.n_chosen))
    if used == 0:
        return nothing_left(total)
    parts = [f"{used:,} of {total:,} image pairs used"]
    if fit.series is not None:
        smoothing = fit.series.attrs.get("smoothing_used")
        if isinstance(smoothing, (int, float)) and smoothing == smoothing:
            parts.append(f"λ = {smoothing:,.3g}")
        if reason := fit.series.attrs.get("reason"):
            parts.append(str(reason))
    return " · ".join([*parts, *how_far])
