"""Which satellite took an image, and which mission a pair of images belongs to.

Datacubes hold satellite codes that depend on what was written first: ``2A``, ``8``, ``8.0``, ``8.``,
blank-padded, or cut to one character (``1``, ``2``); NISAR is ``A``. Codes that are not known yet fall in
``other``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "MISSIONS",
    "TRUST",
    "mission_names",
    "mission_numbers",
    "mission_of_pairs",
    "missions_with_offset",
    "normalise_satellites",
    "parse_missions",
    "parse_satellites",
    "reference_mission",
    "usual_offset",
]

MISSIONS: tuple[str, ...] = ("S1", "S2", "L4_5", "L7", "L8_9", "NISAR", "other")
"""Names of the mission groups, in the order in which they are shown everywhere."""

TRUST: tuple[str, ...] = ("S2", "L8_9", "L7", "L4_5", "S1", "NISAR", "other")
"""Order in which a mission is preferred as the reference of offsets between missions."""

_REFERENCE_SHARE = 0.1
_LEAST_FOR_OFFSET = 5.0

_LANDSAT = {"4": "L4_5", "5": "L4_5", "7": "L7", "8": "L8_9", "9": "L8_9"}
_LANDSAT_GROUPS = ("L4_5", "L7", "L8_9")
_SENTINEL = re.compile(r"(?:S|SENTINEL[ _-]?)([12][A-Z]?)")
_LANDSAT_NAME = re.compile(r"(?:L|LANDSAT[ _-]?|L[COTEM]0?)([45789])")
"""How people write what production writes as ``1A`` and ``8``."""
_NISAR = "A"
_NAMES_OF_NISAR = ("NI", "NISAR", "NISAR-A", "NISARA", "NSR")


def _normalise(code: str) -> str:
    text = code.replace("\x00", "").strip().upper()
    if text.endswith(".0"):
        text = text[:-2]
    text = text.rstrip(".")
    if match := _SENTINEL.fullmatch(text):
        return match[1] if len(match[1]) > 1 else f"S{match[1]}"
    match = _LANDSAT_NAME.fullmatch(text)
    return match[1] if match else text


def normalise_satellites(codes: NDArray, missions: NDArray | None = None) -> NDArray[np.str_]:
    """Bring satellite codes to one spelling.

    Parameters
    ----------
    codes : ndarray, shape (n,)
        Codes as stored: text, or numbers where a cube has Landsat only.
    missions : ndarray of str, shape (n,), optional
        Mission letters (``L``, ``S``), used to tell a Sentinel code cut to ``1`` or ``2`` from a Landsat one.

    Returns
    -------
    ndarray of str, shape (n,)
        ``1A``, ``2B``, ``8``, ``A`` (NISAR) ...; a cut Sentinel code becomes ``S1`` or ``S2``; a missing one
        is empty.
    """
    text = np.asarray(codes).astype(str)
    unique, inverse = np.unique(text, return_inverse=True)
    normal = np.array([_normalise(code) for code in unique], dtype="U8")
    normal[np.isin(normal, ("NAN", "NONE"))] = ""
    normal[np.isin(normal, _NAMES_OF_NISAR)] = _NISAR
    # There never was a Landsat pair with codes 1 or 2 in ITS_LIVE, so a lone digit is a cut Sentinel code.
    out = normal[inverse].astype("U8")
    cut = np.isin(out, ("1", "2"))
    if missions is not None:
        letters = np.char.upper(np.char.strip(np.asarray(missions).astype(str)))
        cut &= letters != "L"
    out[cut] = np.char.add("S", out[cut])
    return out


def _group(satellite: str) -> str:
    if satellite in _LANDSAT:
        return _LANDSAT[satellite]
    if satellite == "S1" or (len(satellite) == 2 and satellite[0] == "1" and satellite[1].isalpha()):
        return "S1"
    if satellite == "S2" or (len(satellite) == 2 and satellite[0] == "2" and satellite[1].isalpha()):
        return "S2"
    return "NISAR" if satellite == _NISAR else "other"


def _group_of_pair(first: str, second: str) -> str:
    a, b = _group(first), _group(second)
    if a == b:
        return a
    if a in _LANDSAT_GROUPS and b in _LANDSAT_GROUPS and "L7" in (a, b):
        return "L7"
    return "other"


def mission_of_pairs(satellite_1: NDArray[np.str_], satellite_2: NDArray[np.str_]) -> NDArray[np.str_]:
    """Give the mission group of each pair from the satellites of both images.

    A pair belongs to a group if both images do; Landsat 7 with any other Landsat counts as ``L7``
    (its stripes decide the quality); all other mixtures are ``other``.

    Parameters
    ----------
    satellite_1, satellite_2 : ndarray of str, shape (n,)
        Codes from `normalise_satellites`.

    Returns
    -------
    ndarray of str, shape (n,)
        Members of `MISSIONS`.
    """
    both = np.char.add(np.char.add(satellite_1.astype("U8"), "|"), satellite_2.astype("U8"))
    unique, inverse = np.unique(both, return_inverse=True)
    names = [_group_of_pair(*text.split("|", 1)) for text in unique]
    return mission_names(names)[inverse]


def mission_names(names: ArrayLike) -> NDArray[np.str_]:
    """Hold mission names in an array that is wide enough for these and for all of `MISSIONS`.

    Parameters
    ----------
    names : array_like of str, shape (n,)
    """
    given = np.asarray(names).astype(str)
    return given.astype(np.promote_types(given.dtype, np.array(MISSIONS).dtype))


def mission_numbers(missions: NDArray[np.str_]) -> NDArray[np.int64]:
    """Turn mission names into their positions in `MISSIONS`; an unknown name counts as ``other``.

    Parameters
    ----------
    missions : ndarray of str, shape (n,)
    """
    numbers = np.full(len(missions), MISSIONS.index("other"), dtype=np.int64)
    for i, name in enumerate(MISSIONS):
        numbers[missions == name] = i
    return numbers


def reference_mission(counts: NDArray) -> int:
    """Give the mission whose offset is 0: the first trusted one with a tenth of the pairs; -1 without any.

    Parameters
    ----------
    counts : ndarray, shape (missions,)
        Pairs of each mission of `MISSIONS`, or the sums of their robust weights.
    """
    enough = counts >= _REFERENCE_SHARE * counts.sum()
    return next((m for m in map(MISSIONS.index, TRUST) if enough[m]), -1)


def missions_with_offset(counts: NDArray) -> tuple[int, ...]:
    """Give the missions that get an offset: all but the reference, with a few pairs at least.

    Parameters
    ----------
    counts : ndarray, shape (missions,)
        As for `reference_mission`.
    """
    reference = reference_mission(counts)
    return tuple(m for m in range(len(MISSIONS)) if m != reference and counts[m] >= _LEAST_FOR_OFFSET)


def usual_offset(speed: float) -> float:
    """Give the standard deviation that is expected of offsets before any is seen [m/yr].

    Of geolocation, which does not depend on the speed, and of looking at other angles at other features,
    which does: 2 m/yr and 2 % of the speed.

    Parameters
    ----------
    speed : float
        [m/yr]
    """
    return 2.0 + 0.02 * speed


def parse_missions(names: str | Iterable[str]) -> tuple[str, ...]:
    """Check mission names, ignoring case, and put them in the order of `MISSIONS`.

    Parameters
    ----------
    names : str or iterable of str
        One name, a comma-separated list, or several names.

    Returns
    -------
    tuple of str

    Raises
    ------
    SettingsError
        If a name is not one of `MISSIONS`.
    """
    from itslive_core.errors import SettingsError

    wanted = _split(names)
    known = {name.upper(): name for name in MISSIONS}
    bad = [name for name in wanted if name.upper() not in known]
    if bad or not wanted:
        shown = bad[0] if bad else "(none)"
        raise SettingsError(f"mission {shown!r} is not known: choose from {', '.join(MISSIONS)}")
    chosen = {known[name.upper()] for name in wanted}
    return tuple(name for name in MISSIONS if name in chosen)


def parse_satellites(names: str | Iterable[str]) -> tuple[str, ...]:
    """Bring satellite names (``2A``, ``s2a``, ``L8``, ``NISAR``) to the spelling of `normalise_satellites`.

    Parameters
    ----------
    names : str or iterable of str
        One code, a comma-separated list, or several codes.

    Returns
    -------
    tuple of str

    Raises
    ------
    SettingsError
        If no code is left.
    """
    from itslive_core.errors import SettingsError

    wanted = [_normalise(name) for name in _split(names)]
    codes = set(normalise_satellites(np.array(wanted, dtype=str)).tolist()) - {""}
    if not codes:
        raise SettingsError("no satellite was named: give codes such as 2A,2B or 8,9")
    return tuple(sorted(codes))


def _split(names: str | Iterable[str]) -> list[str]:
    parts = [names] if isinstance(names, str) else list(names)
    return [piece.strip() for part in parts for piece in str(part).split(",") if piece.strip()]
