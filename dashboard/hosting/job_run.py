"""One run of the estimate of a whole glacier, on a thread of its own, and those who look on.

It knows no session: who looks on holds a `Follower`, who wants it to go on an `Attendance`; both are
forgotten with whoever holds them.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from dashboard.hosting.results import End
from dashboard.hosting.standing import standing_of
from itslive_core.errors import ItsliveError
from itslive_core.jobs.clusters import executor_on
from itslive_core.support.stopping import StoppedError, stoppable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor

    from dashboard.hosting.results import Record, Results
    from dashboard.hosting.standing import Standing
    from dashboard.hosting.tally import Tally
    from dashboard.hosting.turns import Turns
    from itslive_core import Datacube, Glacier, PairSelection
    from itslive_core.settings import Settings

__all__ = ["Attendance", "Follower", "Run", "Wanted"]

_LOG = logging.getLogger(__name__)
_LOOK = 0.5
"""Between two looks at what is wished in the folder of a job [s]."""
_ALONE = 5.0
"""A job that is not to be kept ends when nobody attends it for so long [s]."""
_AWAY = 15.0
"""After so long without a look, a session of another process is gone [s]."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is to be done, as `itslive_core.run_glacier` takes it."""

    cubes: list[Datacube]
    glacier: Glacier
    settings: Settings
    selection: PairSelection


class Follower:
    """Takes what happens in a run, for one who looks on."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Any] = SimpleQueue()

    def put(self, event: Any) -> None:
        """Take something; None is the end."""
        self._queue.put(event)

    def heard(self, should_stop: Callable[[], bool]) -> Iterator[Any]:
        """Give what was taken, until the end, or until one is told to stop."""
        while not should_stop():
            with suppress(Empty):
                event = self._queue.get(timeout=0.2)
                if event is None:
                    return
                yield event


class Attendance:
    """The wish of a session that a run goes on, until `end`, or until nobody holds it any more."""

    def __init__(self, run: Run) -> None:
        run.come()
        self.end = weakref.finalize(self, run.leave)


class Run:
    """A run of a job, from `start` to its end.

    Parameters
    ----------
    record : Record
        What the job is.
    wanted : Wanted
    results : Results
        Where it is kept.
    turns : Turns
        Whose turn it is to work.
    tally : Tally
    on_end : callable
        Called when nothing is at work any more, before those who look on are told.
    cluster : str, optional
        Address of a Dask scheduler to work on: see `itslive_core.jobs.clusters`.
    """

    def __init__(
        self,
        record: Record,
        wanted: Wanted,
        results: Results,
        turns: Turns,
        tally: Tally,
        on_end: Callable[[], None],
        cluster: str | None = None,
    ) -> None:
        self.record = record
        self.stopping = threading.Event()
        self._wanted, self._results = wanted, results
        self._turns, self._tally, self._on_end, self._cluster = turns, tally, on_end, cluster
        self._lock = threading.RLock()
        self._followers: weakref.WeakSet[Follower] = weakref.WeakSet()
        self._attending, self._alone_since, self._looked = 0, time.monotonic(), 0.0
        self._earlier = results.end(record.id)
        self._finished = list(results.finished(record.id))
        keep = results.wished(record.id, "keep")
        self.standing: Standing = standing_of(
            record, tuple(self._finished), self._earlier, state="waiting", keep=keep
        )
        self._thread = threading.Thread(target=self._live, name=f"itslive-job-{record.id[:6]}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait for its end, but not longer."""
        self._thread.join(max(0.0, seconds))

    def stop(self) -> None:
        """Tell it to end; what is finished stays."""
        self.stopping.set()
        self.change(state="stopping")

    def come(self) -> None:
        """Count one more who wants it to go on."""
        with self._lock:
            self._attending += 1

    def leave(self) -> None:
        """Count one less."""
        with self._lock:
            self._attending -= 1
            self._alone_since = time.monotonic()

    def follow(self, follower: Follower) -> tuple[str, ...]:
        """Tell a follower everything from now on; returns the blocks that are finished."""
        with self._lock:
            self._followers.add(follower)
            return tuple(self._finished)

    def change(self, **values: Any) -> None:
        """Let it stand otherwise, and tell all who look on."""
        with self._lock:
            self._tell(replace(self.standing, **values))

    def _tell(self, standing: Standing, *events: Any) -> None:
        with self._lock:
            self.standing = standing
            for follower in list(self._followers):
                for event in (*events, standing):
                    follower.put(event)

    def _live(self) -> None:
        try:
            self._work()
        finally:
            self._on_end()
            for follower in list(self._followers):
                follower.put(None)

    def _work(self) -> None:
        """Wait for a turn, work until the end, and note how it ended."""
        job, began, first = self.record.id, time.monotonic(), self.standing
        words = ""
        try:
            with stoppable(self._ends), self._turns.turn() as waits:
                for before in waits:
                    self.change(before=before)
                began = time.monotonic()
                self.change(state="working", before=0)
                with self._tally.timed("glacier"), executor_on(self._cluster) as executor:
                    words = self._estimate(executor)
        except StoppedError:
            pass
        except Exception as error:  # noqa: BLE001 - on a thread of its own nobody else would tell
            if not isinstance(error, ItsliveError):
                _LOG.exception("the job %s failed", job[:6])
            words = _explained(error)
        done = self.standing.done
        state = "done" if done == first.pixels else "failed" if words else "stopped"
        words = self._results.without_paths(job, words)
        seconds = self._earlier.seconds + time.monotonic() - began
        end = End(state, seconds, self._earlier.pixels + done - first.done, words)
        self._results.note_end(job, end)
        self.change(state=state, words=words, before=0, seconds=seconds)

    def _estimate(self, executor: Executor | None) -> str:
        """Estimate block by block; returns what went wrong in the first that failed."""
        from itslive_core import run_glacier

        wanted, words = self._wanted, ""
        store = self._results.store(self.record.id)
        for block in run_glacier(
            wanted.cubes,
            wanted.glacier,
            wanted.settings,
            store,
            selection=wanted.selection,
            should_stop=self._ends,
            executor=executor,
            previews=True,
        ):
            with self._lock:
                now = self.standing
                if block.error is not None:
                    words = words or block.error
                    now = replace(now, failed=now.failed + 1)
                elif block.preview:
                    now = replace(now, previewed=now.previewed + block.n_pixels)
                else:
                    self._finished.append(block.name)
                    now = replace(now, done=now.done + block.n_pixels)
                self._tell(now, block)
        return words

    def _ends(self) -> bool:
        """Tell whether it is to end: asked by its threads at each pixel."""
        if self.stopping.is_set():
            return True
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return False
        self._looked = now
        job, results = self.record.id, self._results
        alone = self._attending < 1 and now - self._alone_since > _ALONE
        if results.wished(job, "stop") or (
            alone and not results.wished(job, "keep") and results.seen(job) > _AWAY
        ):
            self.stopping.set()
        return self.stopping.is_set()


def _explained(error: BaseException) -> str:
    """Turn what ended a run into one sentence."""
    if isinstance(error, ItsliveError):
        return str(error)
    if isinstance(error, MemoryError):
        return "not enough memory for this: choose a smaller glacier or a longer interval"
    return f"something unexpected went wrong ({type(error).__name__}); the log of the server has the details"
