"""The engine ``itslive`` of xarray: ``xarray.open_dataset(url, engine="itslive")``.

xarray imports this module whenever it opens something: what is heavy waits until a cube is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xarray.backends import BackendEntrypoint

import itslive_core.accessor  # noqa: F401 - registers Dataset.itslive

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import xarray as xr

__all__ = ["ItsliveEngine"]


class ItsliveEngine(BackendEntrypoint):
    """Opens ITS_LIVE datacubes wherever `itslive_core.open_cube` does."""

    description = "ITS_LIVE datacubes: image pairs along `pair`, velocities read when they are used"
    url = "https://its-live.jpl.nasa.gov"
    open_dataset_parameters = ("filename_or_obj", "drop_variables", "storage_options", "patience")

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        storage_options: Mapping[str, Any] | None = None,
        patience: float | None = None,
    ) -> xr.Dataset:
        """Open a datacube; see `itslive_core.jobs.lazy_cube.dataset_of_cube` for what it holds.

        Parameters
        ----------
        filename_or_obj : str or path
        drop_variables : str or iterable of str, optional
            Not wanted.
        storage_options : mapping, optional
        patience : float, optional
            As for `itslive_core.open_cube`.
        """
        from itslive_core.cubes.datacube import open_cube
        from itslive_core.jobs.lazy_cube import dataset_of_cube

        cube = open_cube(filename_or_obj, storage_options=storage_options, patience=patience)
        found = dataset_of_cube(cube)
        return found if drop_variables is None else found.drop_vars(drop_variables)

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Leave every file to others unless this engine is named."""
        return False
