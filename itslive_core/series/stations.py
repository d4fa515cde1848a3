"""What is found at the stations of a batch, and their series side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from itslive_core.places.stations import Station

__all__ = ["StationResult"]


@dataclass(frozen=True, eq=False)
class StationResult:
    """What was found at one station.

    Parameters
    ----------
    station : Station or None
        None for a line of the table that names no place.
    number : int
        Its place in the list of stations; lines that name no place are counted behind them.
    lonlat : (float, float), optional
        Where the station is, WGS 84 [degrees]; not the centre of the pixel.
    pixel : Pixel, optional
        The nearest pixel of the datacube.
    value : Any
        The series, or whatever the work made of the pairs.
    error : str, optional
        Why there is nothing: it names the station.
    empty : bool
        There is nothing because no datacube, or no pair of it, is there.
    cube_url : str
        Address of the datacube that the pixel is of, as recipes have it: a folder by its full path.
    checksum : str
        Of all values of the block that the pixel is of.
    """

    station: Station | None
    number: int
    lonlat: tuple[float, float] | None = None
    pixel: Any = None
    value: Any = None
    error: str | None = None
    empty: bool = False
    cube_url: str = ""
    checksum: str = ""
