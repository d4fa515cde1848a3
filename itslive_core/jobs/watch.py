"""Watching points of a cube: what is new since the last look is read, and what changed is said.

A state file holds the image pairs of each point and the events of their series. A cube that grew at its end
is read only there; of one that was written anew, whose first pairs are others, everything is.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import CoverageError, ItsliveError, OutputError
from itslive_core.events.detect import detect_events
from itslive_core.inversion.point import invert
from itslive_core.inversion.settings import InversionSettings
from itslive_core.observations.pairs import ImagePairs
from itslive_core.places.stations import as_stations

if TYPE_CHECKING:
    import xarray as xr

    from itslive_core.cubes.datacube import Datacube, Pixel

__all__ = ["Change", "Watched", "watch"]

_FORM = 1
_NUMBERS = ("start", "end", "vx", "vy", "vx_error", "vy_error")
_WORDS = ("mission", "satellite_1", "satellite_2")
_EVENT = ("onset", "onset_lower", "onset_upper", "peak", "end", "size", "size_lower", "size_upper")


@dataclass(frozen=True)
class Change:
    """What changed significantly at a point.

    Parameters
    ----------
    name : str
        Of the point.
    what : str
        ``"began"``, ``"ended"`` or ``"changed size"``.
    kind : str
        ``"speed-up"`` or ``"slow-down"``.
    event : dict
        Onset, peak and end (ISO dates; None where not seen), their limits, and size [m/yr].
    """

    name: str
    what: str
    kind: str
    event: dict[str, Any]

    def __str__(self) -> str:
        """Say it in one line."""
        one = self.event
        return (
            f"{self.name}: a {self.kind} {self.what}, onset {one['onset'] or 'not seen'}"
            f" ({one['onset_lower']} to {one['onset_upper']}), {one['size']:+.0f} m/yr"
            f" ({one['size_lower']:+.0f} to {one['size_upper']:+.0f})"
        )


@dataclass(frozen=True)
class Watched:
    """What a look at a cube gave.

    Parameters
    ----------
    first : bool
        There was no state: nothing can have changed.
    again : bool
        The cube was written anew, and read anew.
    n_new : int
        New layers of the cube.
    new_pairs : dict of int
        New image pairs of each point.
    changes : tuple of Change
    problems : tuple of str
        Points that cannot be watched, and why.
    """

    first: bool
    again: bool
    n_new: int
    new_pairs: dict[str, int] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    problems: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain values, for JSON."""
        return {one.name: getattr(self, one.name) for one in fields(self)} | {
            "changes": [asdict(change) for change in self.changes],
            "problems": list(self.problems),
        }


def watch(
    cube: Datacube, points: Any, state: str | os.PathLike[str], settings: InversionSettings | None = None
) -> Watched:
    """Look at points of a cube, and say what changed since the last look.

    Parameters
    ----------
    cube : Datacube
    points : path, DataFrame or iterable
        As for `itslive_core.run_points`.
    state : path
        File that remembers; made by the first look, and written anew by each that goes well.
    settings : InversionSettings, optional
        Default: the recommended ones.

    Returns
    -------
    Watched

    Raises
    ------
    ItsliveError
        If the state is of another cube or damaged, or cannot be written.
    """
    settings = InversionSettings() if settings is None else settings
    stations, bad = as_stations(points)
    problems = [str(row) for row in bad]
    path = Path(state)
    known = _read_state(path, cube)
    n_old = known["n_pairs"] if known else 0
    same = bool(known) and n_old <= cube.n_pairs and known["fingerprint"] == _fingerprint(cube, n_old)
    remembered: dict[str, Any] = known["points"] if known and same else {}
    before: dict[str, Any] = known["points"] if known else {}
    kept: dict[str, Any] = {}
    new_pairs: dict[str, int] = {}
    changes: list[Change] = []
    for station in stations:
        try:
            pixel = cube.locate(**station.place)
        except CoverageError as error:
            problems.append(f"{station.name}: {error}")
            continue
        old = remembered.get(station.name)
        if old is not None and (old["row"], old["col"]) == (pixel.row, pixel.col):
            fresh = _new_pairs(cube, pixel, n_old)
            new_pairs[station.name] = len(fresh)
            if len(fresh) == 0:
                kept[station.name] = old
                continue
            pairs = _joined(_from_state(old["pairs"]), fresh).distinct()
        else:
            pairs = cube.pairs_at(x=pixel.x, y=pixel.y)
            new_pairs[station.name] = len(pairs)
        found = _events_of(detect_events(invert(pairs, settings)))
        if station.name in before:
            changes += _compared(station.name, before[station.name]["events"], found)
        kept[station.name] = {
            "row": pixel.row, "col": pixel.col, "events": found,
            "pairs": {n: getattr(pairs, n).tolist() for n in (*_NUMBERS, *_WORDS)},
        }  # fmt: skip
    _write_state(path, cube, kept)
    n_new = cube.n_pairs - n_old if same else cube.n_pairs
    return Watched(not known, bool(known) and not same, n_new, new_pairs, tuple(changes), tuple(problems))


def _fingerprint(cube: Datacube, n: int) -> str:
    """Tell the first pairs of a cube from others."""
    table = cube.pair_table
    rows = b"".join(np.ascontiguousarray(column[:n]).tobytes() for column in (table.start, table.end))
    return hashlib.sha256(rows).hexdigest()


def _new_pairs(cube: Datacube, pixel: Pixel, first: int) -> ImagePairs:
    """Read the pairs of a pixel in the layers from one on."""
    here = slice(first, cube.n_pairs), slice(pixel.row, pixel.row + 1), slice(pixel.col, pixel.col + 1)
    table = cube.pair_table
    if first == cube.n_pairs:
        vx = vy = np.empty(0)
    else:
        vx, vy = (cube.components[n].read(here)[:, 0, 0].astype(np.float64) for n in ("vx", "vy"))
    good = np.flatnonzero(np.isfinite(vx) & np.isfinite(vy) & table.usable[first:])
    columns = {n: getattr(table, n)[first:][good] for n in (*_NUMBERS, *_WORDS) if n not in ("vx", "vy")}
    return ImagePairs(vx=vx[good], vy=vy[good], **columns)


def _from_state(columns: dict[str, list[Any]]) -> ImagePairs:
    arrays: dict[str, Any] = {n: np.array(columns[n], dtype=np.float64) for n in _NUMBERS}
    arrays |= {n: np.array(columns[n], dtype=str) for n in _WORDS}
    return ImagePairs(**arrays)


def _joined(one: ImagePairs, other: ImagePairs) -> ImagePairs:
    arrays: dict[str, Any] = {
        n: np.concatenate([getattr(one, n), getattr(other, n)]) for n in (*_NUMBERS, *_WORDS)
    }
    return ImagePairs(**arrays)


def _events_of(found: xr.Dataset) -> list[dict[str, Any]]:
    out = []
    for i in range(found.sizes["event"]):
        one: dict[str, Any] = {
            "kind": str(found["kind"].values[i]),
            "ongoing": bool(found["ongoing"].values[i]),
        }
        for name in _EVENT:
            value = found[name].values[i]
            day = found[name].dtype.kind == "M"
            one[name] = (None if np.isnat(value) else str(value)[:10]) if day else float(value)
        out.append(one)
    return out


def _compared(name: str, before: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[Change]:
    """Say which events are new, ended, or of another size than before, beyond their limits."""
    changes = []
    for one in now:
        same = [
            old
            for old in before
            if old["kind"] == one["kind"]
            and old["onset_lower"] <= one["onset_upper"]
            and one["onset_lower"] <= old["onset_upper"]
        ]
        if not same:
            changes.append(Change(name, "began", one["kind"], one))
        elif same[0]["ongoing"] and not one["ongoing"]:
            changes.append(Change(name, "ended", one["kind"], one))
        elif one["size_lower"] > same[0]["size_upper"] or one["size_upper"] < same[0]["size_lower"]:
            changes.append(Change(name, "changed size", one["kind"], one))
    return changes


def _read_state(path: Path, cube: Datacube) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        known: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if known["form"] != _FORM or not isinstance(known["points"], dict):
            raise ValueError("another form")
        known["n_pairs"], known["fingerprint"], known["cube"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ItsliveError(f"{path} is no state of a watch: remove it, or choose another name") from error
    if known["cube"] != cube.url:
        raise ItsliveError(f"{path} watches another cube, {known['cube']}: choose another name for the state")
    return known


def _write_state(path: Path, cube: Datacube, points: dict[str, Any]) -> None:
    known = {
        "form": _FORM,
        "cube": cube.url,
        "date_updated": cube.date_updated,
        "n_pairs": cube.n_pairs,
        "fingerprint": _fingerprint(cube, cube.n_pairs),
        "points": points,
    }
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(json.dumps(known), "utf-8")
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
