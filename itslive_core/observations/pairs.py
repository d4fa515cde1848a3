"""Image pairs: the observations. Each is a mean velocity over the span between two acquisitions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import SettingsError
from itslive_core.observations.batches import Observations
from itslive_core.observations.duplicates import Twins, canonical_order
from itslive_core.observations.eras import find_impossible, words_of_dates
from itslive_core.observations.left_out import pair_name
from itslive_core.observations.missions import mission_names, mission_of_pairs, normalise_satellites
from itslive_core.observations.selection import FilterStep, PairSelection, apply_masks

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from itslive_core.observations.surroundings import Surroundings

__all__ = ["ImagePairs", "put_dates_right"]

_ARRAYS = (
    "start", "end", "vx", "vy", "vx_error", "vy_error", "mission", "satellite_1", "satellite_2",
)  # fmt: skip


def put_dates_right(
    date_1: NDArray[np.float64], date_2: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Order the two dates of every pair, and find the pairs without a span.

    Parameters
    ----------
    date_1, date_2 : ndarray, shape (n,)
        Acquisition dates of both images [days since 1970-01-01]; NaN where missing.

    Returns
    -------
    start, end : ndarray, shape (n,)
        The earlier and the later date.
    usable : ndarray of bool, shape (n,)
        Both dates are known and differ.
    swapped : ndarray of bool, shape (n,)
        The dates came in the wrong order.
    """
    usable = np.isfinite(date_1) & np.isfinite(date_2) & (date_1 != date_2)
    swapped = usable & (date_1 > date_2)
    return np.where(swapped, date_2, date_1), np.where(swapped, date_1, date_2), usable, swapped


@dataclass(frozen=True, eq=False)
class ImagePairs:
    """The image pairs at one pixel.

    Make it with `Datacube.pairs_at` or `ImagePairs.from_arrays`, which put dates right and drop what cannot
    be used; the plain constructor trusts its arguments. A pair that is there more than once counts once:
    `Datacube.pairs_at`, `select` and all estimators see to that, see `distinct`.

    Parameters
    ----------
    start, end : ndarray of float64, shape (n,)
        Acquisition dates, start < end [days since 1970-01-01T00:00 UTC].
    vx, vy : ndarray of float64, shape (n,)
        Mean velocity over the span along the axes of the cube's CRS [m/yr].
    vx_error, vy_error : ndarray of float64, shape (n,)
        Formal errors [m/yr]; NaN where missing.
    mission : ndarray of str, shape (n,)
        Members of `itslive_core.observations.missions.MISSIONS`.
    satellite_1, satellite_2 : ndarray of str, shape (n,)
        Satellite codes of the earlier and of the later image.
    x, y : float, optional
        Pixel centre in the cube's CRS [m].
    lon, lat : float, optional
        Pixel centre, WGS 84 [degrees].
    epsg : int, optional
        The cube's CRS; 0 if it has no code.
    crs_wkt : str, optional
        The cube's CRS as WKT, where it has no EPSG code.
    cube_url, date_updated : str, optional
        Where the pairs come from.
    history : tuple of FilterStep
        What every step so far left.
    checksum : str
        Of all values of the block that they were read with.
    around : Surroundings, optional
        The block that they were read with: an estimate may learn from it what neighbours share.
    """

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    vx: NDArray[np.float64]
    vy: NDArray[np.float64]
    vx_error: NDArray[np.float64]
    vy_error: NDArray[np.float64]
    mission: NDArray[np.str_]
    satellite_1: NDArray[np.str_]
    satellite_2: NDArray[np.str_]
    x: float | None = None
    y: float | None = None
    lon: float | None = None
    lat: float | None = None
    epsg: int | None = None
    cube_url: str | None = None
    date_updated: str | None = None
    history: tuple[FilterStep, ...] = field(default=())
    around: Surroundings | None = field(default=None, repr=False)
    crs_wkt: str | None = None
    checksum: str = ""

    @classmethod
    def from_arrays(
        cls,
        start: ArrayLike,
        end: ArrayLike,
        vx: ArrayLike,
        vy: ArrayLike,
        *,
        vx_error: ArrayLike | None = None,
        vy_error: ArrayLike | None = None,
        satellite_1: ArrayLike | None = None,
        satellite_2: ArrayLike | None = None,
        mission: ArrayLike | None = None,
        n_layers: int | None = None,
        **place: Any,
    ) -> ImagePairs:
        """Make image pairs of arrays: orders dates, drops what cannot be used, and counts both.

        Parameters
        ----------
        start, end : array_like, shape (n,)
            Acquisition dates, as float days since 1970-01-01 UTC, as datetime64, or as ISO text, datetimes or
            Timestamps, with a time zone or in UTC.
        vx, vy : array_like, shape (n,)
            Velocity [m/yr]; NaN where missing.
        vx_error, vy_error : array_like, shape (n,), optional
            Formal errors [m/yr].
        satellite_1, satellite_2 : array_like of str, shape (n,), optional
            Satellite codes in any spelling; from them the mission follows.
        mission : array_like of str, shape (n,), optional
            Mission groups, instead of the satellites.
        n_layers : int, optional
            Number of layers of the cube these were picked from, for the record.
        **place
            x, y, lon, lat, epsg, crs_wkt, cube_url, date_updated.

        Raises
        ------
        ValueError
            If the lengths differ.
        SettingsError
            If a date is none.
        """
        date_1, date_2 = _days(start), _days(end)
        n = len(date_1)
        values_x, values_y = _float(vx, n), _float(vy, n)
        codes = [
            np.full(n, "", dtype="U8") if codes is None else normalise_satellites(np.asarray(codes))
            for codes in (satellite_1, satellite_2)
        ]
        groups = mission_of_pairs(*codes) if mission is None else mission_names(mission)
        if not all(len(a) == n for a in (date_2, *codes, groups)):
            raise ValueError("start, end, velocities and satellites must have the same length")
        first, last, usable, swapped = put_dates_right(date_1, date_2)
        codes_1 = np.where(swapped, codes[1], codes[0])
        codes_2 = np.where(swapped, codes[0], codes[1])

        some = np.isfinite(values_x) | np.isfinite(values_y)
        both = np.isfinite(values_x) & np.isfinite(values_y)
        layers = n if n_layers is None else n_layers
        steps = [
            FilterStep(
                "read", int(some.sum()), layers - int(some.sum()), "layers with a value at this pixel"
            ),
            FilterStep("components", int(both.sum()), int((some & ~both).sum()), "both vx and vy are there"),
        ]
        impossible = find_impossible(first, last, codes_1, codes_2)
        faults = {
            "swapped": swapped,
            "outside": usable & impossible.outside,
            "too_long": usable & impossible.too_long,
        }
        note = words_of_dates(**{name: int((found & both).sum()) for name, found in faults.items()})
        keep = both & usable & ~impossible.either
        steps.append(FilterStep("valid_dates", int(keep.sum()), int(both.sum() - keep.sum()), note))
        return cls(
            start=first[keep],
            end=last[keep],
            vx=values_x[keep],
            vy=values_y[keep],
            vx_error=(np.full(n, np.nan) if vx_error is None else _float(vx_error, n))[keep],
            vy_error=(np.full(n, np.nan) if vy_error is None else _float(vy_error, n))[keep],
            mission=groups[keep],
            satellite_1=codes_1[keep],
            satellite_2=codes_2[keep],
            history=tuple(steps),
            **place,
        )

    @classmethod
    def from_dataframe(cls, table: pd.DataFrame, **place: Any) -> ImagePairs:
        """Rebuild image pairs from a table with the columns of `to_dataframe`.

        Parameters
        ----------
        table : pandas.DataFrame
            Columns start, end, vx, vy, and optionally the errors, satellites and mission.
        **place
            x, y, lon, lat, epsg, crs_wkt, cube_url, date_updated.
        """
        for name in ("start", "end", "vx", "vy"):
            if name not in table:
                raise SettingsError(f"the table of pairs has no column {name!r}: give start, end, vx and vy")
        optional = ("vx_error", "vy_error", "satellite_1", "satellite_2", "mission")
        columns: dict[str, Any] = {name: table[name].to_numpy() for name in optional if name in table}
        dates, values = (
            [table[name].to_numpy() for name in names] for names in (("start", "end"), ("vx", "vy"))
        )
        return cls.from_arrays(dates[0], dates[1], values[0], values[1], **columns, **place)

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.start)

    @property
    def crs(self) -> int | str | None:
        """The cube's CRS: its EPSG code, else its WKT; None if it is not known."""
        return self.epsg or self.crs_wkt

    @property
    def span(self) -> NDArray[np.float64]:
        """Time between the two acquisitions [days], shape (n,)."""
        return self.end - self.start

    @property
    def mid(self) -> NDArray[np.float64]:
        """Middle of the span [days since 1970-01-01], shape (n,)."""
        return 0.5 * (self.start + self.end)

    @property
    def v(self) -> NDArray[np.float64]:
        """Speed of each pair [m/yr], shape (n,); biased upwards by noise, for display only."""
        return np.hypot(self.vx, self.vy)

    @property
    def start_date(self) -> NDArray[np.datetime64]:
        """First acquisition (UTC), rounded to milliseconds, shape (n,)."""
        return to_datetime(self.start)

    @property
    def end_date(self) -> NDArray[np.datetime64]:
        """Second acquisition (UTC), rounded to milliseconds, shape (n,)."""
        return to_datetime(self.end)

    @property
    def n_read(self) -> int:
        """Number of pairs with a value at the pixel, before any filter."""
        return self.history[0].kept if self.history else len(self)

    def take(self, keep: NDArray[np.bool_] | NDArray[np.integer], *steps: FilterStep) -> ImagePairs:
        """Keep some of the pairs and note why.

        Parameters
        ----------
        keep : ndarray
            Mask of shape (n,), or indices.
        *steps : FilterStep
            Added to the history.
        """
        arrays = {name: getattr(self, name)[keep] for name in _ARRAYS}
        return replace(self, **arrays, history=(*self.history, *steps))

    def distinct(self) -> ImagePairs:
        """Keep one of each pair that is there more than once, and note how many were dropped.

        Copies have start and end equal to the minute, and equal satellites, missions and components. The one
        of the smallest formal error stays. Pairs of equal dates and other values are not copies.

        Returns
        -------
        ImagePairs
            These themselves if there are no copies; else with the step ``duplicates`` in their history.
        """
        keep = Twins.of(self).distinct(*Observations.at_point(self.vx, self.vy))
        kept = int(keep.sum())
        if kept == len(self):
            return self
        note = "pairs that are stored more than once count once"
        return self.take(keep, FilterStep("duplicates", kept, len(self) - kept, note))

    def order(self) -> NDArray[np.intp]:
        """Give the rows in an order that depends on the pairs alone, not on how they are listed."""
        return canonical_order(self)

    def in_order(self) -> ImagePairs:
        """Put the pairs in the order of `order`."""
        return self.take(self.order())

    def select(
        self,
        selection: PairSelection | None = None,
        /,
        *,
        start: Any = None,
        end: Any = None,
        mission: Any = None,
        satellite: Any = None,
        min_span: float | None = None,
        max_span: float | None = None,
        leave_out: Any = None,
    ) -> ImagePairs:
        """Keep the pairs that pass filters on metadata, each of them once.

        Parameters
        ----------
        selection : PairSelection, optional
            All limits in one object, instead of the keywords.
        start, end : str or datetime, optional
            Both images within [start 00:00, end 24:00) UTC.
        mission, satellite : str or sequence of str, optional
            Both images in the group, or from the satellites.
        min_span, max_span : float, optional
            Limits of the span rounded to the nearest day, inclusive [days].
        leave_out : str or sequence of str, optional
            Pairs and images to leave out; see `PairSelection`.

        Returns
        -------
        ImagePairs
            Possibly empty; `history` says what each filter took.

        Raises
        ------
        SettingsError
            If a limit is impossible or a name unknown.
        """
        if selection is None:
            selection = PairSelection(
                start=start,
                end=end,
                mission=mission,
                satellite=satellite,
                min_span=min_span,
                max_span=max_span,
                leave_out=leave_out,
            )
        once = self.distinct()
        masks = selection.masks(once.start, once.end, once.mission, once.satellite_1, once.satellite_2)
        keep, steps = apply_masks(masks, np.ones(len(once), dtype=bool))
        kept = once.take(keep, *steps) if steps else once
        return kept if self.around is None else replace(kept, around=self.around.select(selection))

    def names(self) -> list[str]:
        """Name each pair as ``leave_out`` of a `PairSelection` takes it."""
        columns = (self.start, self.end, self.satellite_1, self.satellite_2)
        return [pair_name(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]

    def describe_empty(self) -> str:
        """Say in one sentence why nothing is left, naming the step that took the last pairs."""
        if self.n_read == 0:
            return "no image pair has a value at this pixel: choose another place"
        last = next((step for step in self.history if step.kept == 0), None)
        because = f" (the last went at: {last.note or last.name})" if last else ""
        return (
            f"all pairs were filtered out: {len(self):,} of {self.n_read:,} left{because}; widen the filters"
        )

    def to_dataframe(self) -> pd.DataFrame:
        """Return the pairs as a table.

        Returns
        -------
        pandas.DataFrame
            Columns start, end (datetime64, UTC), span [d], vx, vy, v, vx_error, vy_error [m/yr], mission,
            satellite_1, satellite_2; x, y [m] and epsg in ``attrs``.
        """
        import pandas as pd

        table = pd.DataFrame(
            {
                "start": self.start_date,
                "end": self.end_date,
                "span": self.span,
                "vx": self.vx,
                "vy": self.vy,
                "v": self.v,
                "vx_error": self.vx_error,
                "vy_error": self.vy_error,
                "mission": self.mission.astype(object),
                "satellite_1": self.satellite_1.astype(object),
                "satellite_2": self.satellite_2.astype(object),
            }
        )
        table.attrs.update(epsg=self.epsg, x=self.x, y=self.y, lon=self.lon, lat=self.lat)
        return table


def to_datetime(days: NDArray[np.float64]) -> NDArray[np.datetime64]:
    """Turn days since 1970-01-01 UTC into datetime64[ms], rounding away float noise."""
    return np.rint(np.asarray(days) * 86_400_000.0).astype("int64").astype("datetime64[ms]")


def _days(dates: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(dates)
    if values.dtype.kind in "OUS":
        values = _moments(values)
    if values.dtype.kind == "M":
        whole = (values - np.datetime64(0, "D").astype(values.dtype)) / np.timedelta64(1, "D")
        return np.where(np.isnat(values), np.nan, whole).astype(np.float64)
    return values.astype(np.float64)


def _moments(values: NDArray) -> NDArray:
    """Turn text, dates and moments of any time zone into UTC; what is a number stays one.

    Raises
    ------
    SettingsError
        If one is no date.
    """
    import pandas as pd

    try:
        return values.astype(np.float64)
    except (TypeError, ValueError):
        pass
    try:
        # A zone is brought to UTC; a date without one is UTC already.
        moments = pd.to_datetime(pd.Series(list(values), dtype=object), utc=True, format="ISO8601")
    except (TypeError, ValueError, OverflowError) as error:
        words = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise SettingsError(f"the dates of the pairs are not understood ({words}): give ISO dates") from error
    return moments.dt.tz_localize(None).to_numpy("datetime64[us]")


def _float(values: ArrayLike, n: int) -> NDArray[np.float64]:
    out = np.asarray(values, dtype=np.float64)
    if out.shape != (n,):
        raise ValueError(f"expected {n} values, got shape {out.shape}")
    return out
