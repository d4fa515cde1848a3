"""The recipe of a result: all that is needed to make it again, as one JSON object.

It names the task and the estimator, all settings, the filters on metadata, the datacubes with their date
and number of pairs, the version of this package, and the place: ``point``, ``points``, ``line`` or ``area``.
Files hold it as the attribute ``recipe``; a CSV, which has no room for it, has it beside it.
`itslive_core.rerun` follows it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from itslive_core._version import __version__
from itslive_core.errors import ItsliveError
from itslive_core.series.citation import LICENCE, REFERENCES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from itslive_core.observations.pairs import ImagePairs

__all__ = ["CubeFacts", "Recipe", "cube_facts", "recipe_of_pixel", "sum_of", "with_values"]

_FORM = 1
_METADATA_STEPS = {
    "dates": ("start", "end"),
    "span": ("min_span", "max_span"),
    "mission": ("mission",),
    "satellite": ("satellite",),
    "leave_out": ("leave_out",),
}


@dataclass(frozen=True)
class CubeFacts:
    """A datacube as a recipe knows it.

    Parameters
    ----------
    url : str
        Address, or the full path of a folder.
    date_updated : str
    n_pairs : int
    """

    url: str
    date_updated: str
    n_pairs: int


@dataclass(frozen=True)
class Recipe:
    """All that is needed to make a result again.

    Parameters
    ----------
    task : str
        ``"series"``, ``"pairs"`` or ``"season"``.
    place : dict
        One of ``point``, ``points``, ``line`` and ``area``, with what it needs.
    cubes : tuple of CubeFacts
    settings, selection : dict
        Of the estimator, and the filters on metadata.
    estimator : str
        Its name; empty where the task needs none.
    options : dict
        What else decides the result.
    by_hand : bool
        Pairs were chosen in ways that no recipe knows.
    version : str
        Of this package.
    values : str
        Checksum of all that was read of the cubes, from `sum_of`; empty where it is not known.
    """

    task: str
    place: dict[str, Any]
    cubes: tuple[CubeFacts, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    selection: dict[str, Any] = field(default_factory=dict)
    estimator: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    by_hand: bool = False
    version: str = __version__
    values: str = ""

    def to_json(self) -> str:
        """Write it as JSON text, with what is to be cited: beside a CSV there is no other place for that."""
        return json.dumps({"recipe": _FORM, **asdict(self), "references": REFERENCES, "license": LICENCE})

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Read it from JSON text.

        Raises
        ------
        ItsliveError
            If that is no recipe of this form.
        """
        try:
            known = json.loads(text)
            if known.pop("recipe") != _FORM:
                raise ItsliveError("the recipe was written by a later version: update this package")
            for words in ("references", "license"):
                known.pop(words, None)
            known["cubes"] = tuple(CubeFacts(**cube) for cube in known["cubes"])
            made = cls(**known)
            whole = {"settings": dict, "selection": dict, "options": dict, "place": dict, "estimator": str}
            if not all(isinstance(getattr(made, name), kind) for name, kind in whole.items()):
                raise TypeError("a part of it is of another kind")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ItsliveError(f"the recipe is damaged ({error}): nothing can be made from it") from error
        return made


def cube_facts(cubes: Iterable[Any]) -> tuple[CubeFacts, ...]:
    """Describe opened datacubes."""
    return tuple(CubeFacts(_absolute(cube.url), cube.date_updated or "", cube.n_pairs) for cube in cubes)


def recipe_of_pixel(
    task: str, pairs: ImagePairs, attributes: Mapping[str, Any], selection: Mapping[str, Any] | None = None
) -> str | None:
    """Write the recipe of what was made from the pairs of one pixel.

    Parameters
    ----------
    task : str
    pairs : ImagePairs
        With their history.
    attributes : mapping
        ``method``, ``settings`` and ``selection``, as `itslive_core.series.common_attributes` gives them.
    selection : mapping, optional
        The filters on metadata, where the attributes do not hold them.

    Returns
    -------
    str or None
        JSON; None for pairs of no cube.
    """
    if not pairs.cube_url or pairs.x is None or pairs.y is None or not pairs.history:
        return None
    method = str(attributes.get("method", ""))
    settings = json.loads(attributes.get("settings", "{}"))
    if settings.get("method") == method:
        del settings["method"]  # its name, which is no setting
    chosen = dict(json.loads(attributes.get("selection", "{}")) if selection is None else selection)
    first = pairs.history[0]
    place = {"x": pairs.x, "y": pairs.y, "lon": pairs.lon, "lat": pairs.lat}
    steps = [step.name for step in pairs.history if step.name in _METADATA_STEPS]
    expected = [name for name, limits in _METADATA_STEPS.items() if any(one in chosen for one in limits)]
    return Recipe(
        task,
        {"point": place},
        (CubeFacts(_absolute(pairs.cube_url), pairs.date_updated or "", first.kept + first.dropped),),
        settings,
        chosen,
        method,
        options={"means": attributes["means"]} if "means" in attributes else {},
        by_hand=steps != expected,
        values=pairs.checksum,
    ).to_json()


def sum_of(checksums: Iterable[str]) -> str:
    """Sum up the checksums of parts, in their order; empty where one is not known."""
    known = list(checksums)
    return f"{crc32(' '.join(known).encode()):08x}" if known and all(known) else ""


def with_values(recipe: str | None, checksum: str) -> str | None:
    """Add the checksum of what was read to a recipe, JSON: it is known when the work is done."""
    return None if recipe is None else json.dumps({**json.loads(recipe), "values": checksum})


def _absolute(url: str) -> str:
    return url if "://" in url else str(Path(url).expanduser().absolute())
