"""What is known of image pairs beside their values: columns that a cube's table and a pixel's list share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["PairColumns"]


class PairColumns(Protocol):
    """Columns of a table of image pairs; those of a cube and of a pixel have them."""

    @property
    def start(self) -> NDArray[np.float64]:
        """Earlier date [days since 1970-01-01]."""
        ...

    @property
    def end(self) -> NDArray[np.float64]:
        """Later date [days since 1970-01-01]."""
        ...

    @property
    def vx_error(self) -> NDArray[np.float64]:
        """Formal error of vx [m/yr]."""
        ...

    @property
    def vy_error(self) -> NDArray[np.float64]:
        """Formal error of vy [m/yr]."""
        ...

    @property
    def mission(self) -> NDArray[np.str_]:
        """Mission group."""
        ...

    @property
    def satellite_1(self) -> NDArray[np.str_]:
        """Satellite of the earlier image."""
        ...

    @property
    def satellite_2(self) -> NDArray[np.str_]:
        """Satellite of the later image."""
        ...
