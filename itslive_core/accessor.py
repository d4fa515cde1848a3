"""``Dataset.itslive``: the estimates of this package on any xarray dataset of image pairs.

Importing this module registers it; so does whatever opens a dataset with xarray where this package is
installed, for xarray then looks at the engines that there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import xarray as xr

if TYPE_CHECKING:
    from itslive_core.cubes.dataset_cube import DatasetCube
    from itslive_core.gaussian_process.settings import GaussianProcessSettings
    from itslive_core.inversion.settings import InversionSettings
    from itslive_core.observations.pairs import ImagePairs
    from itslive_core.observations.selection import PairSelection
    from itslive_core.settings import Settings

__all__ = ["ItsliveAccessor"]


@xr.register_dataset_accessor("itslive")
class ItsliveAccessor:
    """Image pairs of a dataset, and what is estimated from them.

    At a place (lon and lat in WGS 84 [degrees], or x and y in the dataset's CRS [m]) all methods give what
    the functions in `itslive_core` give of the pairs of the nearest pixel. Without a place they give every
    pixel, as `itslive_core.run_glacier` does: lazily, one task of Dask for each block of chunks.

    Parameters
    ----------
    dataset : xarray.Dataset
        Conforming to `itslive_core.cubes.dataset_cube.DatasetCube`.
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        self._dataset = dataset

    def cube(self) -> DatasetCube:
        """Give the dataset as a datacube, which jobs and profiles take as well.

        Raises
        ------
        CubeError
            If the dataset holds no image pairs, or does not say when or where they are.
        """
        from itslive_core.cubes.dataset_cube import DatasetCube

        return DatasetCube(self._dataset)

    def pairs_at(
        self,
        lon: float | None = None,
        lat: float | None = None,
        *,
        x: float | None = None,
        y: float | None = None,
    ) -> ImagePairs:
        """Read the image pairs of the pixel nearest to a place, see `itslive_core.Datacube.pairs_at`."""
        return self.cube().pairs_at(lon, lat, x=x, y=y)

    def invert(
        self,
        lon: float | None = None,
        lat: float | None = None,
        *,
        x: float | None = None,
        y: float | None = None,
        settings: InversionSettings | None = None,
        selection: PairSelection | None = None,
        season: bool | None = None,
    ) -> xr.Dataset:
        """Invert the pairs of a place, see `itslive_core.invert`, or those of every pixel.

        Parameters
        ----------
        lon, lat, x, y : float, optional
            The place; without it every pixel.
        settings : InversionSettings, optional
        selection : PairSelection, optional
            Filters on metadata.
        season : bool, optional
            Of every pixel: season and trend too, see `itslive_core.run_glacier`.
        """
        from itslive_core.inversion.settings import InversionSettings

        own = InversionSettings() if settings is None else settings
        return self._estimate(own, (lon, lat, x, y), selection, season)

    def gaussian_process(
        self,
        lon: float | None = None,
        lat: float | None = None,
        *,
        x: float | None = None,
        y: float | None = None,
        settings: GaussianProcessSettings | None = None,
        selection: PairSelection | None = None,
        season: bool | None = None,
    ) -> xr.Dataset:
        """Fit a Gaussian process to the pairs of a place, or of every pixel; parameters as for `invert`."""
        from itslive_core.gaussian_process.settings import GaussianProcessSettings

        own = GaussianProcessSettings() if settings is None else settings
        return self._estimate(own, (lon, lat, x, y), selection, season)

    def season(
        self,
        lon: float | None = None,
        lat: float | None = None,
        *,
        x: float | None = None,
        y: float | None = None,
        settings: InversionSettings | None = None,
        selection: PairSelection | None = None,
    ) -> xr.Dataset:
        """Estimate season and trend at a place, see `itslive_core.fit_season`, or at every pixel."""
        from itslive_core.inversion.settings import InversionSettings

        own = InversionSettings() if settings is None else settings
        if (lon, lat, x, y) == (None,) * 4:
            from itslive_core.jobs.lazy_area import season_of_area

            return season_of_area(self.cube(), own, selection)
        from itslive_core.season.point import fit_season

        return fit_season(self.pairs_at(lon, lat, x=x, y=y), own, selection=selection)

    def _estimate(
        self,
        settings: Settings,
        place: tuple[float | None, float | None, float | None, float | None],
        selection: PairSelection | None,
        season: bool | None,
    ) -> xr.Dataset:
        if place == (None,) * 4:
            from itslive_core.jobs.lazy_area import estimate_area

            return estimate_area(self.cube(), settings, selection, season=season)
        from itslive_core.estimators import estimator_of

        lon, lat, x, y = place
        pairs = self.pairs_at(lon, lat, x=x, y=y)
        return estimator_of(settings).point(pairs, settings, selection=selection)
