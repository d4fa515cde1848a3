"""Selection of image pairs by their metadata: dates, span, mission, satellite."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import SettingsError
from itslive_core.observations.iso_dates import day_number, iso_text
from itslive_core.observations.left_out import is_left_out, parse_left_out
from itslive_core.observations.missions import parse_missions, parse_satellites

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

__all__ = ["LEFT_OUT", "FilterStep", "PairSelection", "day_number"]

LEFT_OUT = "leave_out"
"""Name of the step of what was left out by hand."""
_NAMED = 3


@dataclass(frozen=True)
class FilterStep:
    """What one filter left.

    Parameters
    ----------
    name : str
        Short name of the filter.
    kept, dropped : int
        Number of pairs after it, and number it took.
    note : str
        Why it took what it took, in plain words; may be empty.
    """

    name: str
    kept: int
    dropped: int
    note: str = ""


@dataclass(frozen=True)
class PairSelection:
    """Which image pairs to use, by metadata alone.

    Parameters
    ----------
    start, end : str, optional
        Both images must be taken within [start 00:00, end 24:00) UTC; ISO dates, months or years.
    mission : tuple of str, optional
        Both images must belong to one of these groups (see `itslive_core.observations.missions.MISSIONS`).
    satellite : tuple of str, optional
        Both images must come from one of these satellites (``2A``, ``8`` ...).
    min_span, max_span : float, optional
        Limits of the span, rounded to the nearest day, inclusive [days].
    leave_out : tuple of str, optional
        Pairs and images left out by hand: ``2A@2019-06-03T05:12/2B@2019-06-13T05:12`` is a pair, either half
        of it an image, with all pairs that it is part of; see `itslive_core.observations.left_out`.

    Raises
    ------
    SettingsError
        If a limit is impossible or a name is unknown.
    """

    start: str | None = None
    end: str | None = None
    mission: tuple[str, ...] | None = None
    satellite: tuple[str, ...] | None = None
    min_span: float | None = None
    max_span: float | None = None
    leave_out: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Normalise names and check every limit."""
        if self.mission is not None:
            object.__setattr__(self, "mission", parse_missions(self.mission))
        if self.satellite is not None:
            object.__setattr__(self, "satellite", parse_satellites(self.satellite))
        if self.leave_out is not None:
            object.__setattr__(self, "leave_out", parse_left_out(self.leave_out) or None)
        for name in ("start", "end"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, iso_text(value))
        both = self.start is not None and self.end is not None
        if both and day_number(self.start) >= day_number(self.end, end=True):
            raise SettingsError(f"the start date {self.start} is after the end date {self.end}: swap them")
        for name in ("min_span", "max_span"):
            value = getattr(self, name)
            if value is None:
                continue
            object.__setattr__(self, name, _days_of_span(name, value))
        if self.min_span is not None and self.max_span is not None and self.min_span > self.max_span:
            raise SettingsError(
                f"the shortest span {self.min_span:g} d is longer than the longest {self.max_span:g} d:"
                " swap them"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the limits that are set, as plain values for JSON."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if value is not None
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PairSelection:
        """Rebuild a selection from `to_dict`.

        Raises
        ------
        SettingsError
            If a name is unknown or a value impossible.
        """
        known = set(cls.__dataclass_fields__)
        unknown = sorted(set(values) - known)
        if unknown:
            raise SettingsError(
                f"{unknown[0]!r} is no pair selection: choose from {', '.join(sorted(known))}"
            )
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**plain)

    def masks(
        self,
        start: NDArray[np.float64],
        end: NDArray[np.float64],
        mission: NDArray[np.str_],
        satellite_1: NDArray[np.str_],
        satellite_2: NDArray[np.str_],
    ) -> Iterator[tuple[str, NDArray[np.bool_], str]]:
        """Yield each filter that is set: its name, the mask of what it keeps, and why in words.

        Parameters
        ----------
        start, end : ndarray, shape (n,)
            Acquisition dates [days since 1970-01-01].
        mission, satellite_1, satellite_2 : ndarray of str, shape (n,)
            Mission group and satellites of the pairs.
        """
        if self.start is not None or self.end is not None:
            low = -np.inf if self.start is None else day_number(self.start)
            high = np.inf if self.end is None else day_number(self.end, end=True)
            words = f"both images within {self.start or 'the beginning'} to {self.end or 'today'}"
            yield "dates", (start >= low) & (end < high), words
        if self.min_span is not None or self.max_span is not None:
            days = np.rint(end - start)
            low = -np.inf if self.min_span is None else self.min_span
            high = np.inf if self.max_span is None else self.max_span
            upper = "any length" if self.max_span is None else f"{self.max_span:g} d"
            yield "span", (days >= low) & (days <= high), f"span from {self.min_span or 0:g} d to {upper}"
        if self.mission is not None:
            yield "mission", np.isin(mission, self.mission), f"mission {', '.join(self.mission)}"
        if self.satellite is not None:
            names = list(self.satellite)
            keep = np.isin(satellite_1, names) & np.isin(satellite_2, names)
            yield "satellite", keep, f"both images from {', '.join(names)}"
        if self.leave_out is not None:
            keep = ~is_left_out(self.leave_out, start, end, satellite_1, satellite_2)
            yield LEFT_OUT, keep, f"not left out by hand: {_listed(self.leave_out)}"


def _listed(names: tuple[str, ...]) -> str:
    """Name a few, and how many more there are."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _days_of_span(name: str, value: Any) -> float:
    try:
        days = np.nan if isinstance(value, (bool, str, bytes)) else float(value)
    except (TypeError, ValueError, OverflowError):
        days = np.nan
    if not np.isfinite(days) or days < 0:
        raise SettingsError(f"{name} is {value!r}: give a number of days, 0 or more")
    return days


def apply_masks(
    masks: Iterable[tuple[str, NDArray[np.bool_], str]], keep: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], list[FilterStep]]:
    """Apply filters one after the other and count what each leaves.

    Parameters
    ----------
    masks : iterable of (name, mask, words)
        From `PairSelection.masks`.
    keep : ndarray of bool, shape (n,)
        What is left so far.

    Returns
    -------
    keep : ndarray of bool, shape (n,)
    steps : list of FilterStep
    """
    steps: list[FilterStep] = []
    for name, mask, words in masks:
        before = int(keep.sum())
        keep = keep & mask
        after = int(keep.sum())
        steps.append(FilterStep(name, after, before - after, words))
    return keep, steps
