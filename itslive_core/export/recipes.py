"""Recipes beside CSV files, which have no room for them, and in files of every kind."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from itslive_core.errors import OutputError
from itslive_core.export.files import replacing
from itslive_core.series.recipe import Recipe

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

__all__ = ["read_recipe", "recipe_path", "writing_table"]


def recipe_path(path: Path) -> Path:
    """Name the file that holds the recipe of a CSV: ``series.csv.recipe.json`` beside ``series.csv``."""
    return path.with_name(f"{path.name}.recipe.json")


@contextmanager
def writing_table(path: Path, recipe: str | Callable[[], str | None] | None) -> Iterator[Path]:
    """Give the name of a CSV file to write, as `replacing`, and write its recipe beside it if all goes well.

    One that is known only when the table is written is given as a function. An older recipe goes before the
    new table comes, so that no table ever lies beside that of another.
    """
    beside = recipe_path(path)
    with replacing(path) as partial:
        yield partial
        beside.unlink(missing_ok=True)
    if callable(recipe):
        recipe = recipe()
    if recipe is not None:
        with replacing(beside) as partial:
            partial.write_text(json.dumps(json.loads(recipe), indent=1) + "\n", encoding="utf-8")


def read_recipe(path: str | os.PathLike[str]) -> Recipe:
    """Read the recipe of a file: NetCDF, Zarr, GeoTIFF, a CSV beside its recipe, or the recipe itself.

    Raises
    ------
    ItsliveError
        If the file cannot be read, has none, or it is damaged.
    """
    path = Path(path)
    if not path.exists():
        raise OutputError(f"{path} does not exist: name a file that this program wrote")
    text = _text_of(path)
    if not text:
        raise OutputError(f"{path} has no recipe: it was written by an earlier version, or by something else")
    return Recipe.from_json(text)


def _text_of(path: Path) -> str:
    suffix = path.suffix.lower()
    try:
        if suffix == ".nc":
            import netCDF4

            with netCDF4.Dataset(path) as file:
                return str(getattr(file, "recipe", ""))
        if path.is_dir():
            import zarr

            group = zarr.open_group(str(path), mode="r", zarr_format=2, use_consolidated=False)
            return str(group.attrs.get("recipe", ""))
        if suffix in (".tif", ".tiff"):
            import rasterio

            with rasterio.open(path) as raster:
                return str(raster.tags().get("recipe", ""))
        if suffix == ".json":
            return path.read_text(encoding="utf-8")
        beside = recipe_path(path)
        return beside.read_text(encoding="utf-8") if beside.exists() else ""
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        first = (str(error).splitlines() or [""])[0]
        raise OutputError(f"{path} cannot be read ({first}): name a file that this program wrote") from error
