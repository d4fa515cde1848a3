"""The inversion as jobs, shell and dashboard see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from itslive_core.errors import SettingsError
from itslive_core.estimator import Estimator, PixelEstimates
from itslive_core.inversion.settings import InversionSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr

    from itslive_core.observations.blocks import PixelBlock
    from itslive_core.observations.pairs import ImagePairs
    from itslive_core.observations.selection import PairSelection
    from itslive_core.observations.shared_pairs import SharedPairs
    from itslive_core.observations.windows import Windows
    from itslive_core.settings import Settings

__all__ = ["Inversion"]


class Inversion(Estimator):
    """Regularised least squares."""

    name = "inversion"
    noun = "inversion"
    command = "invert"
    function = "invert"
    help = """Estimate a regular velocity series from the image pairs of CUBE.

    CUBE is a local Zarr folder, or an https:// or s3:// URL; of several, the newest that covers a point is
    used, and all that cover an area; without CUBE an outline or a box is read from those of the catalog. The
    target is a point, a table of points, the outline of a glacier, or a box. Many points make one file: a
    .csv that begins with name,lon,lat, or a .nc with the dimension station. A .zarr that holds the same job
    is continued; other files are replaced when the new one is whole. A .tif holds the speed, one band a time
    step, and of cubes of several lattices which one gave each pixel as its last band.
    """
    examples = (
        "itslive invert demo.zarr --lon -50.1245 --lat 69.3143 -o series.nc",
        "itslive invert demo.zarr --lon -50.1245 --lat 69.3143 --mission S1,S2 --smoothing 30 -o series.csv",
        (
            "itslive invert demo.zarr --lon -50.1245 --lat 69.3143 --max-angle 45 --max-deviation 3.5"
            " -o series.nc"
        ),
        "itslive invert demo.zarr --lon -50.1245 --lat 69.3143 --start 2015 --means month -o months.csv",
        "itslive invert demo.zarr demo_east.zarr --points demo_points.csv --smoothing 30 -o points.csv",
        "itslive invert demo.zarr demo_east.zarr --bbox -50.13 69.31 -50.12 69.315 -o box.tif",
        (
            "itslive invert demo.zarr --outline demo_outlines.geojson --rgi-id RGI2000-v7.0-G-05-90002"
            " -o glacier.zarr"
        ),
    )
    first_options = (
        "smoothing",
        "derivative",
        "interval",
        "weights",
        "noise",
        "offsets",
        "smoothing_in_time",
        "spatial_smoothing",
    )
    pixel_variables: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "smoothing_used": {"long_name": "lambda that was used at the pixel", "units": "1"}
    }

    @property
    def settings(self) -> type[InversionSettings]:
        """The class of its settings."""
        return InversionSettings

    def point(
        self, pairs: ImagePairs, settings: Settings, *, selection: PairSelection | None = None
    ) -> xr.Dataset:
        """Invert the pairs of one pixel."""
        from itslive_core.inversion.point import invert

        return invert(pairs, _own(settings), selection=selection)

    def means(
        self, pairs: ImagePairs, settings: Settings, period: str, *, selection: PairSelection | None = None
    ) -> xr.Dataset:
        """Invert the pairs of one pixel, and average over calendar periods."""
        from itslive_core.inversion.calendar import inversion_means

        return inversion_means(pairs, _own(settings), period=period, selection=selection)

    def area(
        self,
        shared: SharedPairs,
        blocks: Sequence[PixelBlock],
        settings: Settings,
        windows: Windows | None = None,
    ) -> list[PixelEstimates]:
        """Invert the pairs of every pixel."""
        from itslive_core.inversion.area import solve_area

        return solve_area(shared, blocks, _own(settings), windows)

    def check(self, settings: Settings, *, area: bool) -> None:
        """Find out whether the device can do the task, and whether there is a neighbour to couple to."""
        from itslive_core.inversion.prepare import solve_options, solver_for

        own = _own(settings)
        if own.couples_pixels and not area:
            raise SettingsError(
                f"spatial_smoothing is {own.spatial_smoothing!r}, but a point has no neighbours: leave"
                " it at 0, or estimate an area"
            )
        solver_for(own.device, solve_options(own))

    def warm_up(self, pairs: ImagePairs) -> None:
        """Run the kernels of the defaults, and of a plain inversion with all filters."""
        from itslive_core.inversion.point import invert

        plain = InversionSettings(smoothing=10.0, weights="none")
        for settings in (InversionSettings(max_angle=180.0, max_deviation=1e3), plain):
            invert(pairs, settings)

    def kernels(self, settings: Settings, *, area: bool) -> tuple[str, ...]:
        """Name the stages of kernels that are needed."""
        stages = super().kernels(settings, area=area)
        return (*stages, "neighbours") if area and self.couples(settings) else stages

    def pixels_at_once(self, shared: SharedPairs, settings: Settings) -> int:
        """Collect pixels for a GPU."""
        from itslive_core.inversion.prepare import pixels_at_once

        return pixels_at_once(shared, _own(settings))

    def season(self, settings: Settings) -> bool:
        """Season and trend come with an automatic smoothing: with a fixed one, speed is wanted."""
        return isinstance(_own(settings).smoothing, str)

    def couples(self, settings: Settings) -> bool:
        """Pixels are coupled where spatial smoothing is asked for."""
        return _own(settings).couples_pixels

    def attributes(self, settings: Settings) -> dict[str, Any]:
        """Give the attributes that tell how a series was made."""
        return {"method": self.name, **settings.to_dict()}

    def area_attributes(self, settings: Settings) -> dict[str, Any]:
        """Name the smoothing where all pixels have the same."""
        smoothing = _own(settings).smoothing
        return {} if isinstance(smoothing, str) else {"smoothing_used": smoothing}


def _own(settings: Settings) -> InversionSettings:
    return cast("InversionSettings", settings)
