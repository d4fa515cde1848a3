"""The folder of results: one folder a job, with what it is, its store, and how it ended.

Several processes of a server may share it. What a job is never changes; how it ended is written by whoever
works on it, which the lock of the job says; wishes (``stop``, ``keep``) are files that anybody may make.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import platformdirs

from itslive_core.errors import ItsliveError, OutputError
from itslive_core.jobs.area_store import finished_blocks
from itslive_core.jobs.scratch import remove_folder
from itslive_core.jobs.size import BlockPlace, JobSize
from itslive_core.jobs.store_lock import StoreLock
from itslive_core.support.caching import write_atomically

__all__ = ["RESULTS_VARIABLE", "End", "NoResultError", "Record", "Results", "is_id", "results_folder"]

RESULTS_VARIABLE = "ITSLIVE_RESULTS"
"""Environment variable that names another folder of results than the user's."""
_FORM = 1
_ID = re.compile(r"[A-Za-z0-9_-]{22}")
_BYTES_OF_ID = 16
_SAFE = 3600.0
"""What ended so lately [s] does not make room for others: somebody may just be fetching it."""


class NoResultError(ItsliveError):
    """There is no such result, or no longer."""


def results_folder() -> Path:
    """Return where results are kept if nothing else is said: ``$ITSLIVE_RESULTS``, or the user's data."""
    named = os.environ.get(RESULTS_VARIABLE)
    if named:
        return Path(named).expanduser()
    return platformdirs.user_data_path("itslive", appauthor=False) / "results"


def is_id(text: str) -> bool:
    """Tell whether a text can be the id of a job; only then may it be looked for on the disk."""
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True)
class Record:
    """What a job is.

    Parameters
    ----------
    id : str
        Unguessable: whoever has it may see, stop, fetch and delete the result.
    name : str
        Of the glacier.
    created : float
        Seconds since 1970.
    size : JobSize
        With the recipe.
    """

    id: str
    name: str
    created: float
    size: JobSize

    @property
    def cubes(self) -> list[str]:
        """Addresses of the datacubes."""
        return [str(cube["url"]) for cube in json.loads(self.size.recipe)["cubes"]]


@dataclass(frozen=True)
class End:
    """How the last run of a job ended.

    Parameters
    ----------
    state : {"", "done", "stopped", "failed"}
        Empty as long as none has ended, also where it was killed.
    seconds : float
        That all runs took.
    pixels : int
        Pixels that they estimated.
    words : str
        What went wrong.
    when : float
        Seconds since 1970.
    """

    state: str = ""
    seconds: float = 0.0
    pixels: int = 0
    words: str = ""
    when: float = field(default=0.0)


class Results:
    """The results that a server keeps.

    Parameters
    ----------
    folder : Path
        Made with the first result.
    quota : int
        Bytes that all may take; 0 for any number. To make room, the oldest go first.
    days : float
        After which a result is deleted; 0 for never.
    """

    def __init__(self, folder: Path, quota: int = 0, days: float = 0.0) -> None:
        self.folder, self.quota, self.days = folder, quota, days

    def place(self, job: str) -> Path:
        """Return the folder of a job.

        Raises
        ------
        NoResultError
            If that is no id, or there is none.
        """
        if not is_id(job) or not (self.folder / job / "job.json").is_file():
            raise NoResultError("There is no such result here: it was deleted, or the address is incomplete.")
        return self.folder / job

    def store(self, job: str) -> Path:
        """Return the Zarr store of a job; it need not be there yet."""
        return self.place(job) / "area.zarr"

    def create(self, name: str, size: JobSize, *, keep: bool) -> Record:
        """Make the folder of a new job.

        Raises
        ------
        OutputError
            If there is no room, or the folder cannot be written to.
        """
        self.make_room(size.bytes)
        record = Record(secrets.token_urlsafe(_BYTES_OF_ID), name, time.time(), size)
        folder = self.folder / record.id
        try:
            folder.mkdir(parents=True, mode=0o700)
            facts = {"form": _FORM, **asdict(record)}
            if keep:
                (folder / "keep").touch()
            write_atomically(folder / "job.json", json.dumps(facts).encode())
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise OutputError(
                f"the result cannot be kept on the server ({error.strerror or error}): whoever runs it names"
                " a folder with --results"
            ) from error
        return record

    def record(self, job: str) -> Record:
        """Read what a job is.

        Raises
        ------
        NoResultError
        """
        try:
            known = json.loads((self.place(job) / "job.json").read_text(encoding="utf-8"))
            size = known["size"]
            blocks = {str(name): BlockPlace(**place) for name, place in size["blocks"].items()}
            if known["form"] != _FORM or known["id"] != job:
                raise ValueError("of another version")
            return Record(
                job,
                str(known["name"]),
                float(known["created"]),
                JobSize(str(size["recipe"]), int(size["cells"]), blocks),
            )
        except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise NoResultError(f"This result cannot be read ({type(error).__name__}): delete it.") from error

    def ids(self) -> list[str]:
        """Name all jobs, the newest first."""
        try:
            found = [one for one in self.folder.iterdir() if is_id(one.name) and (one / "job.json").is_file()]
        except OSError:
            return []
        return [one.name for one in sorted(found, key=_begun, reverse=True)]

    def end(self, job: str) -> End:
        """Read how the last run of a job ended."""
        try:
            known = json.loads((self.place(job) / "end.json").read_text(encoding="utf-8"))
            return End(**known)
        except (OSError, ValueError, TypeError):
            return End()

    def note_end(self, job: str, end: End) -> None:
        """Write how a job ended; where that fails it counts as stopped."""
        with suppress(OSError, NoResultError):
            content = json.dumps(asdict(replace(end, when=time.time()))).encode()
            write_atomically(self.place(job) / "end.json", content)

    def finished(self, job: str) -> tuple[str, ...]:
        """Name the blocks that the store of a job holds."""
        return finished_blocks(self.store(job))

    def lock(self, job: str) -> StoreLock:
        """Take the right to work on a job.

        Raises
        ------
        OutputError
            If a process of the server works on it.
        """
        target = self.place(job) / "job"
        for _ in range(20):  # somebody may just be asking whether it is held
            with suppress(OutputError):
                return StoreLock.take(target)
            time.sleep(0.01)
        raise OutputError("This estimate is at work already.")

    def is_worked_on(self, job: str) -> bool:
        """Tell whether a process works on a job."""
        return StoreLock.is_held(self.place(job) / "job")

    def wish(self, job: str, name: str, wanted: bool = True) -> None:
        """Let whoever works on a job know that it shall ``stop``, or be ``keep``-ed, or is ``seen``."""
        path = self.place(job) / name
        with suppress(OSError):
            if wanted:
                path.touch()
            else:
                path.unlink(missing_ok=True)

    def wished(self, job: str, name: str) -> bool:
        """Tell whether that is wanted."""
        return is_id(job) and (self.folder / job / name).exists()

    def seen(self, job: str) -> float:
        """Return how long ago a session of another process looked at a job [s]."""
        try:
            return time.time() - (self.folder / job / "seen").stat().st_mtime
        except OSError:
            return float("inf")

    def delete(self, job: str) -> None:
        """Delete a job on which nobody works.

        Raises
        ------
        OutputError
            If somebody does.
        """
        folder = self.place(job)
        lock = self.lock(job)
        try:
            gone = folder.with_name(f".{job}.deleted")  # at once, for everybody
            folder.rename(gone)
        except OSError as error:
            raise OutputError(f"the result cannot be deleted: {error.strerror or error}") from error
        finally:
            lock.release()
        remove_folder(gone)

    def bytes(self, job: str) -> int:
        """Measure what a job takes on disk."""
        return _bytes_below(self.folder / job)

    def without_paths(self, job: str, words: str) -> str:
        """Name a result as a person knows it: where it lies is nobody's business."""
        return words.replace(str(self.folder / job / "area.zarr"), "the result").replace(
            str(self.folder), "the folder of results"
        )

    def make_room(self, wanted: float) -> None:
        """Delete what is too old, and where there is a quota the oldest until there is room.

        Raises
        ------
        OutputError
            If there is no room.
        """
        ended = self._ended()
        if self.days:
            for job, when in list(ended.items()):
                if time.time() - when > 86_400.0 * self.days:
                    self._drop(job)
                    del ended[job]
        if not self.quota:
            return
        used = {job: self.bytes(job) for job in self.ids()}
        for job in sorted(ended, key=ended.__getitem__):
            if sum(used.values()) + wanted <= self.quota or wanted > self.quota:
                break
            if time.time() - ended[job] > _SAFE:
                self._drop(job)
                used.pop(job, None)
        if sum(used.values()) + wanted > self.quota:
            raise OutputError(
                f"this needs about {wanted / 1e6:,.0f} MB, and results may take {self.quota / 1e6:,.0f} MB on"
                f" this server, of which {sum(used.values()) / 1e6:,.0f} are taken: choose a longer interval"
                " or fewer years, or come back later"
            )

    def _ended(self) -> dict[str, float]:
        """Return when each job that nobody works on was last worked on."""
        found = {}
        for job in self.ids():
            with suppress(NoResultError, OSError):
                if not self.is_worked_on(job):
                    found[job] = max(self.end(job).when, _begun(self.folder / job))
        return found

    def _drop(self, job: str) -> None:
        with suppress(OutputError, NoResultError):
            self.delete(job)


def _begun(folder: Path) -> float:
    try:
        return (folder / "job.json").stat().st_mtime
    except OSError:
        return 0.0


def _bytes_below(folder: Path) -> int:
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += (Path(path) / name).stat().st_size
    return total
