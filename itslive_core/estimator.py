"""The door of an estimator: all that jobs, shell and dashboard need to know of one.

An estimator is a package with settings, a function for the pairs of one pixel, and a class below `Estimator`
that says how areas are done. `itslive_core.estimators` lists them; nobody else needs to know their names.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from itslive_core.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

    from itslive_core.observations.batches import Observations
    from itslive_core.observations.blocks import PixelBlock
    from itslive_core.observations.pairs import ImagePairs
    from itslive_core.observations.selection import PairSelection
    from itslive_core.observations.shared_pairs import SharedPairs
    from itslive_core.observations.windows import Windows
    from itslive_core.settings import Settings

__all__ = ["Estimator", "PixelEstimates"]


@dataclass(frozen=True, eq=False)
class PixelEstimates:
    """What an estimator says of P pixels on M cells.

    Parameters
    ----------
    series : mapping of ndarray, shape (P, M)
        ``vx``, ``vy``, ``v`` and their standard deviations where they are known [m/yr]; ``coverage``; as
        int32 ``n_pairs``; and as int16 ``quality``, from `itslive_core.series.quality.quality_of`.
    used : ndarray of int, shape (P,)
        Number of used pairs.
    solved : ndarray of bool, shape (P,)
        The pixel has an estimate.
    of_pixels : mapping of ndarray, shape (P,)
        Values of `Estimator.pixel_variables`.
    filtered : Observations, optional
        What the filters on values left, so that nobody need filter again.
    """

    series: Mapping[str, NDArray[Any]]
    used: NDArray[np.int64]
    solved: NDArray[np.bool_]
    of_pixels: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    filtered: Observations | None = None


class Estimator(ABC):
    """An estimator as everybody else sees it. Subclasses import what is heavy inside their methods."""

    name: ClassVar[str]
    """Its name in attributes, and of the stage of its kernels."""
    noun: ClassVar[str]
    """Its name in a sentence."""
    command: ClassVar[str]
    """Its name in the shell."""
    function: ClassVar[str]
    """Name of its public function for one pixel."""
    help: ClassVar[str]
    """What it does, for the help of the command."""
    examples: ClassVar[tuple[str, ...]]
    """Lines of the shell, for the help of the command."""
    first_options: ClassVar[tuple[str, ...]] = ()
    """Settings whose options head the list in the help."""
    pixel_variables: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    """Attributes of the variables with dimensions (y, x) of an area, beside ``n_pairs_used``."""

    @property
    def label(self) -> str:
        """Its name on a screen."""
        return self.noun[0].upper() + self.noun[1:]

    @property
    @abstractmethod
    def settings(self) -> type[Settings]:
        """The class of its settings."""

    @abstractmethod
    def point(
        self, pairs: ImagePairs, settings: Settings, *, selection: PairSelection | None = None
    ) -> xr.Dataset:
        """Estimate one pixel: a series with the variables of `itslive_core.series.VARIABLES`."""

    def means(
        self, pairs: ImagePairs, settings: Settings, period: str, *, selection: PairSelection | None = None
    ) -> xr.Dataset:
        """Estimate one pixel and average over periods, see `window_edges`: a series whose cells are these.

        Raises
        ------
        SettingsError
            If the estimator does not know how its cells err together, and so has no error of a mean.
        """
        raise SettingsError(f"the {self.noun} has no calendar means: choose the inversion")

    @abstractmethod
    def area(
        self,
        shared: SharedPairs,
        blocks: Sequence[PixelBlock],
        settings: Settings,
        windows: Windows | None = None,
    ) -> list[PixelEstimates]:
        """Filter on values and estimate the pixels of blocks, whose pairs passed the filters on metadata.

        With `windows` the series are means over these, in place of cells.
        """

    def steps(
        self,
        pairs: ImagePairs,
        settings: Settings,
        *,
        selection: PairSelection | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Iterator[xr.Dataset]:
        """Estimate one pixel, a quick estimate first where there is one; ends early where cancelled."""
        yield self.point(pairs, settings, selection=selection)

    def check(self, settings: Settings, *, area: bool) -> None:  # noqa: B027 - most can do all of it
        """Find out at once whether this can be done here.

        Raises
        ------
        SettingsError
            If a device is not available, or the task is none for a point, or for an area.
        """

    def warm_up(self, pairs: ImagePairs) -> None:
        """Run all kernels of a point and of an area once."""
        self.point(pairs, self.settings())

    def kernels(self, settings: Settings, *, area: bool) -> tuple[str, ...]:
        """Name the stages of kernels that are needed, see `itslive_core.warming.warm_up`."""
        return ("reading", self.name, *(("season",) if area and self.season(settings) else ()))

    def pixels_at_once(self, shared: SharedPairs, settings: Settings) -> int:
        """Give the number of pixels worth collecting from several blocks of an area; 1: none."""
        return 1

    def season(self, settings: Settings) -> bool:
        """Whether season and trend of every pixel of an area are estimated too, unless told otherwise."""
        return True

    def couples(self, settings: Settings) -> bool:
        """Whether pixels of an area are coupled to their neighbours, see `itslive_core.neighbours`."""
        return False

    def attributes(self, settings: Settings) -> dict[str, Any]:
        """Give the attributes that tell how a series was made."""
        return {**settings.to_dict(), "method": self.name}

    def area_attributes(self, settings: Settings) -> dict[str, Any]:
        """Give more attributes of an area; ``settings`` are those that can be read back."""
        return {"settings": settings.to_json()}
