"""What was found at the points of a batch, kept until its file is written: a job that is killed goes on.

The journal lies in the user's cache, so that nothing is left beside the result, under a name made from the
recipe of the batch: the same command finds it, whatever its output is called.
"""

from __future__ import annotations

import pickle
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO
from zlib import crc32

from itslive_core.errors import OutputError
from itslive_core.jobs.store_lock import StoreLock
from itslive_core.observations.pairs import ImagePairs
from itslive_core.support.caching import cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from itslive_core.places.stations import Station
    from itslive_core.series.stations import StationResult

__all__ = ["PointJournal", "journal_of"]

_KEPT = 30 * 86_400.0
"""How long the journal of a job that nobody takes up again is kept [s]."""
_HEADER = 12


class PointJournal:
    """The results of a batch so far; made by `journal_of`.

    Parameters
    ----------
    path : Path, optional
        The file; None where results are not kept.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._known: list[tuple[int, int]] = []
        self._numbers: set[int] = set()
        if path is not None:
            self._open(path)

    def _open(self, path: Path) -> None:
        """Find the whole records; what was cut by a crash is overwritten."""
        try:
            path.touch(mode=0o600)
            file = self._file = path.open("r+b")
            size, at = path.stat().st_size, 0
            while at + _HEADER <= size:
                header = file.read(_HEADER)
                length, told = int.from_bytes(header[:8], "big"), int.from_bytes(header[8:], "big")
                if at + _HEADER + length > size:
                    break
                content = file.read(length)
                if crc32(content) != told:
                    break
                self._known.append((at + _HEADER, length))
                self._numbers.add(pickle.loads(content).number)  # noqa: S301 - this user's own file
                at += _HEADER + length
            file.seek(at)
            file.truncate()
        except (OSError, pickle.PickleError, AttributeError, ImportError):
            self._give_up()

    def __len__(self) -> int:
        """Return the number of points that were done before."""
        return len(self._numbers)

    def go_on(
        self,
        stations: list[Station],
        start: Callable[[list[Station]], Iterable[StationResult]],
    ) -> Iterator[StationResult]:
        """Give the results that are known, then those of the stations that are left.

        Parameters
        ----------
        stations : list of Station
        start : callable
            Takes stations, and gives their results as they come.
        """
        left = [(number, one) for number, one in enumerate(stations) if number not in self._numbers]
        yield from self._read()
        if not left and stations:
            return
        for found in start([one for _, one in left]):
            result = found if found.station is None else replace(found, number=left[found.number][0])
            self._add(result)
            yield result

    def remove(self) -> None:
        """Forget the results: their file is written."""
        self._give_up()
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Keep the results for another time."""
        if self._file is not None and not self._file.closed:
            empty = self._file.tell() == 0
            self._give_up()
            if empty and self.path is not None:
                self.path.unlink(missing_ok=True)

    def _read(self) -> Iterator[StationResult]:
        for at, length in self._known:
            assert self._file is not None
            end = self._file.tell()
            self._file.seek(at)
            content = self._file.read(length)
            self._file.seek(end)
            result: StationResult = pickle.loads(content)  # noqa: S301 - this user's own file
            yield result

    def _add(self, result: StationResult) -> None:
        """Keep a result; where the disk refuses, the job goes on without."""
        if self._file is None or result.error is not None:
            return
        if isinstance(result.value, ImagePairs):  # the block around them is not needed any more
            result = replace(result, value=replace(result.value, around=None))
        content = pickle.dumps(result, protocol=pickle.HIGHEST_PROTOCOL)
        record = len(content).to_bytes(8, "big") + crc32(content).to_bytes(4, "big") + content
        try:
            self._file.write(record)
            self._file.flush()
        except OSError:
            self._give_up()

    def _give_up(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None


@contextmanager
def journal_of(recipe: str) -> Iterator[PointJournal]:
    """Open the journal of a batch; one that keeps nothing where another process does the same job.

    Parameters
    ----------
    recipe : str
        Of the batch.
    """
    lock = None
    journal = PointJournal(None)
    try:
        with suppress(OSError, OutputError):
            folder = cache_folder("points")
            for old in folder.glob("*.journal"):
                with suppress(OSError):
                    if time.time() - old.stat().st_mtime > _KEPT:
                        old.unlink()
            path = folder / f"{sha256(recipe.encode()).hexdigest()[:32]}.journal"
            lock = StoreLock.take(path)
            journal = PointJournal(path)
        yield journal
    finally:
        journal.close()
        if lock is not None:
            lock.release()
