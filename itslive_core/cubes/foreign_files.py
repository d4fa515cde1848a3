"""Files that are no Zarr folder: those that are read nevertheless, and words for the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from itslive_core.cubes.netcdf_files import NetcdfFiles
from itslive_core.cubes.zip_files import ZipFiles
from itslive_core.errors import CubeError

__all__ = ["is_references", "opened_file", "refuse_remote_file", "refused_folder", "refused_references"]

_CONVERT = (
    "python -c \"import xarray as xr; xr.open_dataset('{name}', engine='{engine}').to_zarr('cube.zarr')\""
)
_NETCDF = (b"CDF\x01", b"CDF\x02", b"CDF\x05", b"\x89HDF")
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_ARCHIVES = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!", b"\x28\xb5\x2f\xfd")
_METADATA = (".zgroup", "zarr.json", ".zmetadata")
_REMOTE = {
    ".nc": "a NetCDF file",
    ".nc4": "a NetCDF file",
    ".h5": "an HDF5 file",
    ".zip": "an archive",
    ".json": "a list of references",
    ".tif": "a GeoTIFF",
}


def opened_file(path: Path, url: str) -> Any:
    """Open a single file as the files of a cube: a zipped Zarr store, or NetCDF.

    Raises
    ------
    CubeError
        If there is none, or it is none of these; says what it is, and what to do.
    """
    try:
        if not path.exists():
            raise CubeError(f"{url} does not exist: check the path of the datacube")
        if not path.is_file():
            raise CubeError(f"{url} is no file and no folder: name a datacube")
        with path.open("rb") as file:
            head = file.read(4096)
    except (OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise CubeError(f"{url} cannot be read ({words}): check the path of the datacube") from error
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return ZipFiles(path, url)
    if head.startswith(_NETCDF):
        return NetcdfFiles(path, url)
    if head.startswith(_TIFF):
        raise CubeError(
            f"{url} is a GeoTIFF, which holds no image pairs: name the datacube that it was made of"
        )
    if head.lstrip().startswith(b"{") and (b'"refs"' in head or b'"version"' in head):
        raise refused_references(url)
    if head.startswith(_ARCHIVES) or head[257:262] == b"ustar":
        raise CubeError(f"{url} is a packed archive of a kind that is not read: unpack it, or use zip")
    raise CubeError(
        f"{url} is a file, not a Zarr datacube: name the folder that holds it, a zip of one, or a NetCDF file"
    )


def refused_folder(folder: Path, url: str) -> CubeError:
    """Make the error for a folder without Zarr metadata, and say what it is if that can be told."""
    try:
        members = sorted(folder.iterdir()) if folder.is_dir() else []
        inside = [one for one in members if one.suffix == ".zarr" or _is_zarr(one)]
    except OSError as error:
        return CubeError(f"{url} cannot be read ({error.strerror}): check the path of the datacube")
    if inside:
        return CubeError(f"{url} is a folder of datacubes: name one of them, such as {inside[0].name}")
    return CubeError(f"{url} is not a Zarr datacube: it has no Zarr metadata")


def _is_zarr(folder: Path) -> bool:
    return folder.is_dir() and any((folder / name).exists() for name in _METADATA)


def refuse_remote_file(url: str) -> None:
    """Refuse an address of a single file: only Zarr is read over a network.

    Raises
    ------
    CubeError
        If it is one.
    """
    kind = _REMOTE.get(Path(url.partition("?")[0]).suffix.lower())
    if kind is not None:
        raise CubeError(
            f"{url} is {kind}, which is not read over a network: download it, then name the file on your disk"
        )


def refused_references(url: str) -> CubeError:
    """Make the error for references to other files: what they name could be anything on this machine."""
    return CubeError(
        f"{url} is a file, not a Zarr datacube: a list of references to others (kerchunk); convert it with"
        f" {_CONVERT.format(name=Path(url).name, engine='kerchunk')}"
    )


def is_references(document: bytes) -> bool:
    """Tell whether the metadata of a folder are those of references in Parquet (kerchunk)."""
    try:
        return "record_size" in json.loads(document)
    except (ValueError, RecursionError, TypeError):
        return False
