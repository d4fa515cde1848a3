"""Well-known glaciers by name: a small gazetteer that works offline."""

from __future__ import annotations

import csv
import re
import unicodedata
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["NamedPlace", "folded", "gazetteer", "like", "ranked"]

_LETTERS = str.maketrans({"æ": "ae", "ø": "o", "ð": "d", "þ": "th", "ß": "ss", "ł": "l", "đ": "d", "ı": "i"})
_KINDS = frozenset(
    {"glacier", "gletscher", "glaciar", "ghiacciaio", "isbrae", "ice", "cap", "stream", "shelf"}
    | {"of", "the", "de", "du", "des", "da", "del", "la", "d"}
)
"""Words that say what a thing is and not which one."""
_ALIKE = 0.72
"""Likeness from which a name is worth asking about."""

Key = TypeVar("Key")


@dataclass(frozen=True)
class NamedPlace:
    """A glacier of the gazetteer.

    Attributes
    ----------
    name
        Its usual name.
    aliases
        Other names.
    lon, lat
        A place on or near it [degrees, WGS 84].
    region
        Where that is, in words.
    """

    name: str
    aliases: tuple[str, ...]
    lon: float
    lat: float
    region: str


@lru_cache(maxsize=1)
def gazetteer() -> tuple[NamedPlace, ...]:
    """Return all glaciers of the gazetteer; read once."""
    text = files("itslive_core").joinpath("data", "glaciers.csv").read_text(encoding="utf-8")
    return tuple(
        NamedPlace(
            row["name"],
            tuple(one for one in row["aliases"].split(";") if one),
            float(row["lon"]),
            float(row["lat"]),
            row["region"],
        )
        for row in csv.DictReader(text.splitlines())
    )


def folded(name: str) -> str:
    """Return a name without accents, case, punctuation and the words for ice: ``Sólheimajökull`` as typed."""
    plain = unicodedata.normalize("NFKD", name.casefold()).translate(_LETTERS)
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    words = re.findall(r"\w+", plain)
    kept = [word for word in words if word not in _KINDS]
    return " ".join(kept or words)


def ranked(text: str, names: Iterable[tuple[str, Key]]) -> list[tuple[int, str, Key]]:
    """Find the names that a text means, best first.

    Parameters
    ----------
    text
        What was typed.
    names
        Names with what they stand for; of several names of one thing the best counts.

    Returns
    -------
    list of (int, str, Key)
        How well (0 the same, 1 begins so, 2 a word of it does, 3 holds it), the name, and what it stands for.
    """
    wanted = folded(text)
    if not wanted:
        return []
    best: dict[int, tuple[int, str, Key]] = {}
    for name, key in names:
        known = folded(name)
        if known == wanted:
            how = 0
        elif known.startswith(wanted):
            how = 1
        elif f" {wanted}" in f" {known}":
            how = 2
        elif wanted in known:
            how = 3
        else:
            continue
        if id(key) not in best or how < best[id(key)][0]:
            best[id(key)] = (how, name, key)
    return sorted(best.values(), key=lambda one: (one[0], len(one[1]), one[1]))


def like(text: str, names: Iterable[str], most: int = 3) -> list[str]:
    """Return names that look like a text which is none: what a person may have meant."""
    wanted = folded(text)
    if len(wanted) < 3:
        return []
    scores = []
    for name in dict.fromkeys(names):
        known = folded(name)
        parts = [known, *(part for part in known.split() if len(part) > 3)]
        score = max(_likeness(wanted, part) for part in parts)
        if score >= _ALIKE:
            scores.append((-score, name))
    return [name for _, name in sorted(scores)[:most]]


def _likeness(one: str, other: str) -> float:
    """Return how alike two names are, from 0 to 1; 0 where it is soon clear that they are not."""
    matcher = SequenceMatcher(None, one, other)
    if matcher.real_quick_ratio() < _ALIKE or matcher.quick_ratio() < _ALIKE:
        return 0.0
    return matcher.ratio()
