"""The moving median as jobs, shell and dashboard see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from itslive_core.estimator import Estimator, PixelEstimates
from itslive_core.moving_median.settings import MovingMedianSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

    from itslive_core.observations.blocks import PixelBlock
    from itslive_core.observations.pairs import ImagePairs
    from itslive_core.observations.selection import PairSelection
    from itslive_core.observations.shared_pairs import SharedPairs
    from itslive_core.observations.windows import Windows
    from itslive_core.settings import Settings

__all__ = ["MovingMedian"]


class MovingMedian(Estimator):
    """The weighted median of the pairs in a moving window."""

    name = "moving_median"
    noun = "moving median"
    command = "median"
    function = "fit_moving_median"
    help = """Take the weighted median of the image pairs of CUBE in a moving window.

    CUBE is a local Zarr folder, or an https:// or s3:// URL; of several, the newest that covers a point is
    used, and all that cover an area; without CUBE an outline or a box is read from those of the catalog.
    Pairs count whose whole span lies in the window; the median is taken of each component. The band is that
    of order statistics. A .zarr that holds the same job is continued.
    """
    examples = (
        "itslive median demo.zarr --lon -50.1245 --lat 69.3143 -o median.nc",
        "itslive median demo.zarr --lon -50.1245 --lat 69.3143 --window 48 --weights none -o median.csv",
        "itslive median demo.zarr --bbox -50.13 69.31 -50.12 69.315 --start 2016-01-01 -o box.zarr",
    )

    @property
    def settings(self) -> type[MovingMedianSettings]:
        """The class of its settings."""
        return MovingMedianSettings

    def point(
        self, pairs: ImagePairs, settings: Settings, *, selection: PairSelection | None = None
    ) -> xr.Dataset:
        """Take the medians of one pixel."""
        from itslive_core.moving_median.estimate import fit_moving_median

        return fit_moving_median(pairs, cast("MovingMedianSettings", settings), selection=selection)

    def means(
        self, pairs: ImagePairs, settings: Settings, period: str, *, selection: PairSelection | None = None
    ) -> xr.Dataset:
        """Take the medians of one pixel, and average over periods."""
        from itslive_core.moving_median.estimate import moving_median_means

        own = cast("MovingMedianSettings", settings)
        return moving_median_means(pairs, own, period=period, selection=selection)

    def area(
        self,
        shared: SharedPairs,
        blocks: Sequence[PixelBlock],
        settings: Settings,
        windows: Windows | None = None,
    ) -> list[PixelEstimates]:
        """Take the medians of every pixel."""
        from itslive_core.moving_median.estimate import median_of_block

        own = cast("MovingMedianSettings", settings)
        return [median_of_block(pixels, shared, own, windows) for pixels in blocks]
