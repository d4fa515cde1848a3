"""The Gaussian process as jobs, shell and dashboard see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from itslive_core.errors import SettingsError
from itslive_core.estimator import Estimator, PixelEstimates
from itslive_core.gaussian_process.settings import GaussianProcessSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import xarray as xr

    from itslive_core.observations.blocks import PixelBlock
    from itslive_core.observations.pairs import ImagePairs
    from itslive_core.observations.selection import PairSelection
    from itslive_core.observations.shared_pairs import SharedPairs
    from itslive_core.observations.windows import Windows
    from itslive_core.settings import Settings

__all__ = ["GaussianProcess"]


class GaussianProcess(Estimator):
    """Trend, season and rest, with gaps filled."""

    name = "gaussian_process"
    noun = "Gaussian process"
    command = "gp"
    function = "fit_gaussian_process"
    help = """Fit a Gaussian process to the image pairs of CUBE: trend, season, and what is left.

    CUBE is a local Zarr folder, or an https:// or s3:// URL; of several, the newest that covers a point is
    used, and all that cover an area; without CUBE an outline or a box is read from those of the catalog. All
    cells of the series are filled, with bands that widen in gaps; what was found at a point is said in words.
    In an area the pixels of a block share what is learnt at a few of them. A .zarr that holds the same job is
    continued.
    """
    examples = (
        "itslive gp demo.zarr --lon -50.1245 --lat 69.3143 -o series.nc",
        "itslive gp demo.zarr --lon -50.1245 --lat 69.3143 --start 2015-01-01 --no-season -o series.csv",
        "itslive gp demo.zarr --lon -50.1245 --lat 69.3143 --max-angle 45 --max-deviation 3.5 -o series.nc",
        "itslive gp demo.zarr --bbox -50.13 69.31 -50.12 69.315 --start 2016-01-01 -o box.zarr",
    )
    first_options = ("method",)

    @property
    def settings(self) -> type[GaussianProcessSettings]:
        """The class of its settings."""
        return GaussianProcessSettings

    def point(
        self, pairs: ImagePairs, settings: Settings, *, selection: PairSelection | None = None
    ) -> xr.Dataset:
        """Fit the pairs of one pixel."""
        from itslive_core.gaussian_process.point import fit_gaussian_process

        return fit_gaussian_process(pairs, _own(settings), selection=selection)

    def steps(
        self,
        pairs: ImagePairs,
        settings: Settings,
        *,
        selection: PairSelection | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Iterator[xr.Dataset]:
        """Give a quick fit first, then the refined one."""
        from itslive_core.gaussian_process.point import CancelledError, fit_gaussian_process_steps

        try:
            yield from fit_gaussian_process_steps(
                pairs, _own(settings), selection=selection, cancelled=cancelled
            )
        except CancelledError:
            return

    def means(
        self, pairs: ImagePairs, settings: Settings, period: str, *, selection: PairSelection | None = None
    ) -> xr.Dataset:
        """Fit the pairs of one pixel, and average over periods."""
        from itslive_core.gaussian_process.point import gaussian_process_means

        return gaussian_process_means(pairs, _own(settings), period=period, selection=selection)

    def area(
        self,
        shared: SharedPairs,
        blocks: Sequence[PixelBlock],
        settings: Settings,
        windows: Windows | None = None,
    ) -> list[PixelEstimates]:
        """Fit every pixel; those of a block share what is learnt at a few of them."""
        from itslive_core.gaussian_process.block import fit_block

        fitted = [fit_block(pixels, shared, _own(settings), windows) for pixels in blocks]
        return [
            PixelEstimates(
                {**one.columns, "n_pairs": one.count, "coverage": one.covered}, one.used, one.used > 0
            )
            for one in fitted
        ]

    def check(self, settings: Settings, *, area: bool) -> None:
        """Find out whether the device is there, and whether areas can be done so."""
        from itslive_core.support.devices import require_cuda

        own = _own(settings)
        if area and own.method != "span":
            raise SettingsError(f"method {own.method!r} is for single points: use method 'span' for areas")
        if own.device == "cuda":
            if not area:
                raise SettingsError(
                    "the Gaussian process of a single point runs on the CPU: choose device 'cpu' or 'auto'"
                )
            require_cuda()

    def attributes(self, settings: Settings) -> dict[str, Any]:
        """Give the attributes that tell how a series was made; ``method`` is that of the estimator."""
        return {**settings.to_dict(), "method": self.name}


def _own(settings: Settings) -> GaussianProcessSettings:
    return cast("GaussianProcessSettings", settings)
