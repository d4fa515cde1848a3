"""The Zarr store of a glacier job: CF metadata first, then block after block, and a journal of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import zarr
from numcodecs import Blosc

from itslive_core.errors import OutputError
from itslive_core.estimators import estimator_of
from itslive_core.jobs.scratch import remove_folder, unbroken
from itslive_core.jobs.store_lock import StoreLock
from itslive_core.observations.windows import Windows
from itslive_core.season.pixels import AREA_VARIABLES
from itslive_core.series import TIME_ATTRIBUTES, VARIABLES, grid_mapping
from itslive_core.series.quality import FLAGS
from itslive_core.series.recipe import sum_of
from itslive_core.series.warnings import count_pixels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from itslive_core.jobs.plan import AreaPlan
    from itslive_core.jobs.tasks import BlockTask
    from itslive_core.observations.time_grid import TimeGrid
    from itslive_core.settings import Settings

__all__ = ["AreaStore", "attribute_of", "finished_blocks", "warnings_in"]

_JOURNAL = ".itslive_blocks"
_NOT_PART_OF_A_JOB = ("device",)


class AreaStore:
    """A store that takes the blocks of one job; made by `AreaStore.open`.

    A block counts as done when its name stands in the journal, which is written after its values: a crash in
    between costs that block only.
    """

    def __init__(
        self,
        path: Path,
        group: zarr.Group,
        finished: Mapping[str, tuple[str, str]],
        lock: StoreLock | None = None,
    ) -> None:
        self.path = path
        self.read = dict(finished)
        self._group = group
        self._lock = lock
        self._several = "source" in group

    @property
    def finished(self) -> frozenset[str]:
        """Names of the blocks that are done."""
        return frozenset(self.read)

    @property
    def values(self) -> str:
        """Checksum of all that was read for the blocks that are done."""
        return sum_of(self.read[name][1] for name in sorted(self.read))

    def close(self) -> None:
        """Let other processes write to the store."""
        if self._lock is not None:
            self._lock.release()

    @property
    def season(self) -> bool:
        """The store has room for season and trend of the pixels."""
        return all(name in self._group for name in AREA_VARIABLES)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        plan: AreaPlan,
        axis: TimeGrid | Windows,
        attributes: Mapping[str, Any],
        settings: Settings,
        *,
        season: bool = False,
    ) -> AreaStore:
        """Create the store, or continue it if it holds the same job.

        Parameters
        ----------
        path : path
            A folder that does not exist yet, is empty, or holds this job.
        plan : AreaPlan
        axis : TimeGrid or Windows
            Cells of time.
        attributes : mapping
            Of the dataset.
        settings : Settings
            Of an estimator.
        season : bool
            Make room for season and trend of the pixels, where the store is made new.

        Raises
        ------
        OutputError
            If something else is there, another process writes there, or nothing can be written there.
        """
        path = Path(path)
        job = _identity(plan, axis, attributes, settings)
        lock = None
        try:
            if path.exists() and not path.is_dir():
                raise OutputError(f"{path} is a file: choose another name for the result")
            lock = StoreLock.take(path)
            if path.is_dir() and any(path.iterdir()):
                return cls(path, *_continue(path, job, plan.variables()), lock)
            # Made under another name: a crash must not leave a store that belongs to no job.
            partial = path.with_name(f".{path.name}.partial")
            remove_folder(partial)
            of_pixels = {**estimator_of(settings).pixel_variables, **(AREA_VARIABLES if season else {})}
            try:
                unbroken(lambda: _create(partial, plan, axis, attributes, job, of_pixels))
                if path.is_dir():
                    path.rmdir()
                partial.rename(path)
            except BaseException:
                remove_folder(partial)
                raise
            group = zarr.open_group(str(path), mode="r+", zarr_format=2, use_consolidated=False)
        except BaseException as error:
            if lock is not None:
                lock.release()
            if isinstance(error, OSError):
                raise OutputError(f"cannot write to {path}: {error.strerror or error}") from error
            raise
        return cls(path, group, {}, lock)

    def attributes(self, prefix: str) -> dict[str, Any]:
        """Return the attributes of the store whose names begin so."""
        return {name: value for name, value in self._group.attrs.items() if name.startswith(prefix)}

    def note(self, attributes: Mapping[str, Any]) -> None:
        """Write the attributes anew: some were not known when the store was made.

        Parameters
        ----------
        attributes : mapping
            All of them, in order.

        Raises
        ------
        OutputError
            If the disk refuses.
        """
        whole = {"job": self._group.attrs["job"], **attributes}
        consolidated = self.path / ".zmetadata"
        try:
            unbroken(lambda: self._group.attrs.put(whole))
            # Not consolidated anew: Zarr would stumble over the journal, and nothing else has changed.
            known = json.loads(consolidated.read_text(encoding="utf-8"))
            known["metadata"][".zattrs"] = whole
            partial = consolidated.with_suffix(".partial")
            partial.write_text(json.dumps(known), encoding="utf-8")
            partial.replace(consolidated)
        except OSError as error:
            raise OutputError(f"cannot write to {self.path}: {error.strerror or error}") from error

    def count_flags(self) -> NDArray[np.int64]:
        """Count the pixels in which something is to be said of the quality, see `count_pixels`.

        Raises
        ------
        OutputError
            If the store cannot be read back.
        """
        quality, speed = cast("zarr.Array", self._group["quality"]), cast("zarr.Array", self._group["v"])
        _, rows, cols = quality.chunks
        total = np.zeros(1 + len(FLAGS), dtype=np.int64)
        try:
            for row in range(0, quality.shape[1], rows):
                for col in range(0, quality.shape[2], cols):
                    here = (slice(None), slice(row, row + rows), slice(col, col + cols))
                    total += count_pixels(np.asarray(quality[here]), np.isfinite(np.asarray(speed[here])))
        except OSError as error:
            raise OutputError(f"cannot read {self.path}: {error.strerror or error}") from error
        return total

    def write(self, task: BlockTask, arrays: Mapping[str, NDArray], read: tuple[str, str] = ("", "")) -> None:
        """Write the values of a block, then note it as done.

        Parameters
        ----------
        task : BlockTask
        arrays : mapping of ndarray, shape (time, y, x) or (y, x)
            On the window of the task; where another block may give a pixel of it, that one's stays.
        read : tuple of str
            `PixelBlock.heads` and `PixelBlock.checksum` of what the block was made from.

        Raises
        ------
        OutputError
            If the disk refuses.
        """
        rows, cols = task.window
        own = task.wanted

        def put() -> None:
            for name, values in arrays.items():
                array = cast("zarr.Array", self._group[name])
                if self._several and not own.all():
                    there = np.asarray(array[..., rows, cols])
                    values = np.where(own, values, there)
                array[..., rows, cols] = values

        try:
            unbroken(put)
            with (self.path / _JOURNAL).open("a", encoding="utf-8") as journal:
                journal.write("\t".join((task.name, *read)) + "\n")
                journal.flush()
                os.fsync(journal.fileno())
            self.read[task.name] = read
        except OSError as error:
            raise OutputError(f"cannot write to {self.path}: {error.strerror or error}") from error


def warnings_in(path: str | os.PathLike[str]) -> list[str]:
    """Read what the store of a job says of its quality, in sentences; none before the job is finished."""
    return attribute_of(path, "warnings").splitlines()


def finished_blocks(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Name the blocks that the store of a job holds, in the order in which they came; none without a store.

    Whoever looks while others write sees whole lines only.
    """
    names = (line.partition("\t")[0] for line in _read_journal(Path(path))[0].split("\n"))
    return tuple(dict.fromkeys(filter(None, names)))


def attribute_of(path: str | os.PathLike[str], name: str) -> str:
    """Read an attribute of the store of a job; empty where there is none."""
    try:
        group = zarr.open_group(os.fspath(path), mode="r", zarr_format=2, use_consolidated=False)
    except FileNotFoundError:
        return ""
    return str(group.attrs.get(name, ""))


def _identity(
    plan: AreaPlan,
    axis: TimeGrid | Windows,
    attributes: Mapping[str, Any],
    settings: Settings,
) -> dict[str, Any]:
    """Describe a job by what decides its result; where and how fast it runs is no part of it."""
    return {
        "settings": {k: v for k, v in settings.to_dict().items() if k not in _NOT_PART_OF_A_JOB},
        "selection": json.loads(attributes["selection"]),
        "cubes": [_absolute(cube.url) for cube in plan.cubes],
        "cubes_updated": attributes["cube_date_updated"],
        "area": plan.key,
        "axis": axis.edges.tolist() if isinstance(axis, Windows) else [axis.interval, axis.first, axis.size],
        "version": attributes["itslive_core_version"],
    }


def _absolute(url: str) -> str:
    """Name a local cube by its full path, so that a job can be continued from another folder."""
    return url if "://" in url else str(Path(url).resolve())


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Say in what a job differs from the one that a store holds: the setting and both values, in words."""
    found = []
    for name, own in here.items():
        other = there.get(name)
        if name in ("settings", "selection") and isinstance(other, dict):
            keys = [key for key in {**own, **other} if own.get(key) != other.get(key)]
            found += [
                f"{key} is {_told(other.get(key))} there and {_told(own.get(key))} here" for key in keys
            ]
        elif other != own and name == "cubes":
            found.append(f"other cubes: {_named(other)} there and {_named(own)} here")
        elif other != own and name == "cubes_updated":
            if there.get("cubes") == here.get("cubes"):
                found.append(f"date of the cubes is {_told(other)} there and {_told(own)} here")
        elif other != own:
            short = name == "version"
            found.append(
                f"{name} is {_told(other)} there and {_told(own)} here" if short else f"another {name}"
            )
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return "; ".join(found[:3]) + more


def _named(cubes: Any) -> str:
    """Tell datacubes by the last parts of their addresses."""
    return _told(", ".join(str(url).rstrip("/").rpartition("/")[2] for url in cubes or ()) or "none")


def _told(value: Any) -> str:
    """Tell a value in few words."""
    text = "not set" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _continue(
    path: Path, job: Mapping[str, Any], given: Iterable[str]
) -> tuple[zarr.Group, dict[str, tuple[str, str]]]:
    try:
        group = zarr.open_group(str(path), mode="r+", zarr_format=2, use_consolidated=False)
        there = json.loads(str(group.attrs["job"]))
    except (FileNotFoundError, KeyError, ValueError) as error:
        raise OutputError(f"{path} holds something else: choose another name for the result") from error
    if there != dict(job):
        words = _differences(there, job)
        raise OutputError(f"{path} holds another job ({words}): choose another name or remove it")
    missing = [name for name in (*VARIABLES, *given) if name not in group]
    if missing:
        raise OutputError(
            f"{path} was begun by an earlier version and has no {', '.join(missing)}: choose another name or"
            " remove it"
        )
    journal = path / _JOURNAL
    whole, cut = _read_journal(path)
    if cut:  # a line without its end was cut by a crash: the next one must not be glued to it
        journal.write_text(whole + "\n" if whole else "", encoding="utf-8")
    rows = [line.split("\t") for line in whole.split("\n")] if journal.exists() else []
    return group, {name: ((*read, "")[0], (*read, "", "")[1]) for name, *read in rows}


def _read_journal(path: Path) -> tuple[str, str]:
    """Read the whole lines of the journal of a store, and one without its end."""
    try:
        whole, _, cut = (path / _JOURNAL).read_text(encoding="utf-8").rpartition("\n")
    except FileNotFoundError:
        return "", ""
    return whole, cut


def _create(
    path: Path,
    plan: AreaPlan,
    axis: TimeGrid | Windows,
    attributes: Mapping[str, Any],
    job: Mapping[str, Any],
    pixel_variables: Mapping[str, Mapping[str, Any]],
) -> None:
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    own = [task for task in plan.tasks if task.onto is None]
    rows, cols = (max(task.block.shape[axis] for task in own) for axis in (0, 1))
    ny, nx = plan.mask.shape
    cube = (axis.size, ny, nx), (max(axis.size, 1), rows, cols), ("time", "y", "x")
    plane = (ny, nx), (rows, cols), ("y", "x")

    def add(
        name: str, layout: tuple[Any, Any, Any], dtype: str, fill: Any, attrs: Mapping[str, Any]
    ) -> zarr.Array:
        shape, chunks, dims = layout
        compressors = [Blosc(cname="zstd", clevel=1, shuffle=Blosc.SHUFFLE)] if shape else None
        return group.create_array(
            name,
            shape=shape,
            chunks=chunks,
            dtype=dtype,
            fill_value=fill,
            compressors=compressors,
            attributes={**attrs, "_ARRAY_DIMENSIONS": list(dims)},
        )

    placed = {"grid_mapping": "mapping"}
    # Readers take a fill value for "missing", and 0 pairs, or no flag, is a number: these have none.
    whole_numbers = {"n_pairs": "int32", "quality": "int16"}
    for name, words in VARIABLES.items():
        kind, fill = (whole_numbers[name], None) if name in whole_numbers else ("float32", np.nan)
        add(name, cube, kind, fill, {**_plain(words), **placed})
    for name, of_pixels in pixel_variables.items():
        add(name, plane, "float32", np.nan, {**of_pixels, **placed})
    add(
        "n_pairs_used",
        plane,
        "int32",
        None,
        {"long_name": "number of used image pairs", "units": "1", **placed},
    )
    for name, (known, words) in plan.variables().items():
        fill = np.nan if known.dtype.kind == "f" else None
        add(name, plane, str(known.dtype), fill, {**_plain(words), **placed})[...] = known
    days = {"units": "days since 1970-01-01", "calendar": "standard"}
    line = (axis.size,), (max(axis.size, 1),), ("time",)
    edges = axis.edges
    add("time", line, "float64", np.nan, {**TIME_ATTRIBUTES, **days})[:] = axis.centres
    bounds = (axis.size, 2), (max(axis.size, 1), 2), ("time", "bnds")
    add("time_bnds", bounds, "float64", np.nan, days)[:] = np.stack([edges[:-1], edges[1:]], axis=1)
    for name, values in (("x", plan.x), ("y", plan.y)):
        words = {"standard_name": f"projection_{name}_coordinate", "units": "m", "axis": name.upper()}
        add(name, ((len(values),), (len(values),), (name,)), "float64", np.nan, words)[:] = values
    add("mapping", ((), (), ()), "int32", None, grid_mapping(plan.crs))
    group.attrs.update({"job": json.dumps(dict(job)), **attributes})
    zarr.consolidate_metadata(str(path), zarr_format=2)


def _plain(words: Mapping[str, Any]) -> dict[str, Any]:
    """Give attributes as JSON can hold them."""
    return {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in words.items()}
