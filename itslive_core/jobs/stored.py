"""The blocks that the store of a job holds already, read back; also while others come."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from itslive_core.jobs.size import BlockPlace

__all__ = ["StoredArea"]


class StoredArea:
    """The store of a job, open for reading.

    Parameters
    ----------
    path : path
        The Zarr store.

    Raises
    ------
    OutputError
        If there is none, or it cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        import zarr

        try:
            # Not consolidated: attributes may be written anew while the store is filled.
            self._group = zarr.open_group(os.fspath(path), mode="r", zarr_format=2, use_consolidated=False)
            self._times = np.asarray(self._group["time"][...])  # type: ignore[index]
            self._x, self._y = (np.asarray(self._group[name][...]) for name in "xy")  # type: ignore[index]
        except (OSError, KeyError, ValueError) as error:
            raise OutputError("the result cannot be read back: estimate it again") from error

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Attributes of the result."""
        return dict(self._group.attrs)

    def block(self, place: BlockPlace, names: tuple[str, ...]) -> xr.Dataset:
        """Read a block.

        Parameters
        ----------
        place : BlockPlace
        names : tuple of str
            Variables wanted; those that the store does not have are left out.

        Returns
        -------
        xarray.Dataset
            Dimensions (time, y, x), or (y, x).

        Raises
        ------
        OutputError
            If the disk refuses.
        """
        import xarray as xr

        rows, cols = slice(place.row0, place.row1), slice(place.col0, place.col1)
        variables: dict[str, Any] = {}
        try:
            for name in names:
                if name in self._group:
                    values = np.asarray(self._group[name][..., rows, cols])  # type: ignore[index]
                    variables[name] = (("time", "y", "x")[-values.ndim :], values)
        except OSError as error:
            raise OutputError(f"the result cannot be read: {error.strerror or error}") from error
        moments = np.round(self._times * 86_400_000.0).astype("datetime64[ms]").astype("datetime64[ns]")
        coordinates = {"time": moments, "y": self._y[rows], "x": self._x[cols]}
        return xr.Dataset(variables, coords=coordinates)
