"""The recipe of a series told in words that others run: Python, a shell command, a notebook.

They name what differs from the defaults only, and make the same numbers: a CSV comes out byte for byte.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from itslive_core.errors import ItsliveError
from itslive_core.estimators import ESTIMATORS, estimator
from itslive_core.observations.selection import PairSelection
from itslive_core.series.citation import REFERENCES

if TYPE_CHECKING:
    from collections.abc import Callable

    from itslive_core.estimator import Estimator
    from itslive_core.series.recipe import Recipe

__all__ = ["WAYS", "as_command", "as_notebook", "as_python"]

_PLACE = ("x", "y", "lon", "lat")
_NOT_TOLD = "device"
"""The machine of whoever runs it is another one."""


def as_command(recipe: Recipe, out: str = "series.csv") -> str:
    """Tell a recipe as a line of the shell.

    Parameters
    ----------
    recipe : Recipe
        Of the series at a point.
    out : str
        The file that the command writes.

    Raises
    ------
    ItsliveError
        If the recipe is for something else, or its pairs were chosen by hand.
    """
    one, changed, chosen = _read(recipe)
    place = recipe.place["point"]
    words = ["itslive", one.command, recipe.cubes[0].url, "--x", repr(place["x"]), "--y", repr(place["y"])]
    means = {"means": recipe.options["means"]} if "means" in recipe.options else {}
    for name, value in {**changed, **chosen, **means}.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", ",".join(value) if isinstance(value, list) else str(value)]
    return shlex.join([*words, "-o", out])


def as_python(recipe: Recipe, out: str = "series.csv") -> str:
    """Tell a recipe as a Python program; parameters and errors as for `as_command`."""
    return "\n\n".join(_cells(recipe, out)) + "\n"


def as_notebook(recipe: Recipe, out: str = "series.csv") -> str:
    """Tell a recipe as a notebook, the text of an .ipynb; parameters and errors as for `as_command`."""
    read, estimate, write = _cells(recipe, out)
    place, cube = recipe.place["point"], recipe.cubes[0]
    where = f"{place['lat']:.5f}, {place['lon']:.5f}"
    words = (
        f"# Ice velocity at {where}\n\n"
        f"Datacube {cube.url}, of {cube.date_updated or 'no date'}, with {cube.n_pairs:,} image pairs; made"
        f" with itslive-dashboard {recipe.version}. Data: {REFERENCES}"
    )
    plot = f'{estimate}\n\nimport hvplot.xarray\n\nseries["v"].hvplot(ylabel="speed [m/yr]")'
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": words},
        *(
            {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": source}
            for source in (read, plot, write)
        ),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 4}
    return json.dumps(notebook, indent=1) + "\n"


WAYS: dict[str, Callable[..., str]] = {"python": as_python, "command": as_command, "notebook": as_notebook}
"""By name, how a recipe can be told."""


def _read(recipe: Recipe) -> tuple[Estimator, dict[str, Any], dict[str, Any]]:
    """Give the estimator of a recipe, the settings that are not the defaults, and the filters on metadata."""
    if recipe.by_hand:
        raise ItsliveError("its pairs were chosen by hand in Python, which its recipe cannot repeat")
    if recipe.task != "series" or "point" not in recipe.place or recipe.estimator not in ESTIMATORS:
        raise ItsliveError("only the series of a point can be told as code: make others again with rerun")
    place = recipe.place["point"]
    numbers = isinstance(place, dict) and all(isinstance(place.get(k), (int, float)) for k in _PLACE)
    if not numbers or len(recipe.cubes) != 1 or not isinstance(recipe.options.get("means", ""), str):
        raise ItsliveError("the recipe is damaged: nothing can be told of it")
    one = estimator(recipe.estimator)
    settings, usual = one.settings.from_dict(recipe.settings), one.settings()
    changed = {
        name: getattr(settings, name)
        for name in one.settings.kinds()
        if name != _NOT_TOLD and getattr(settings, name) != getattr(usual, name)
    }
    return one, changed, PairSelection.from_dict(recipe.selection).to_dict()


def _cells(recipe: Recipe, out: str) -> tuple[str, str, str]:
    """Give the program in three parts: reading, estimating, writing."""
    one, changed, chosen = _read(recipe)
    place = recipe.place["point"]
    read = [
        "import itslive_core as itslive",
        "from itslive_core.export import write_series",
        "",
        f"cube = itslive.open_cube({recipe.cubes[0].url!r})",
        f"pairs = cube.pairs_at(x={place['x']!r}, y={place['y']!r})",
    ]
    estimate = [f"settings = itslive.{one.settings.__name__}({_arguments(changed)})"]
    given = "pairs, settings"
    if chosen:
        estimate.append(f"selection = itslive.PairSelection({_arguments(chosen)})")
        given += ", selection=selection"
    means = recipe.options.get("means")
    function = one.function if means is None else "calendar_means"
    given += "" if means is None else f", period={means!r}"
    estimate.append(f"series = itslive.{function}({given})")
    return "\n".join(read), "\n".join(estimate), f"write_series(series, {out!r})"


def _arguments(values: dict[str, Any]) -> str:
    texts = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return ", ".join(f"{name}={value!r}" for name, value in texts.items())
