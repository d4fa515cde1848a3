"""What all sessions of a process share: cubes and their blocks, turns, and the list of what runs."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

from dashboard.hosting.glacier_jobs import GlacierJobs
from dashboard.hosting.results import Results, results_folder
from dashboard.hosting.rules import HOME, Rules
from dashboard.hosting.tally import Tally
from dashboard.hosting.turns import Turns
from itslive_core.cubes.block_reader import BlockCache

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from pathlib import Path

    from itslive_core import Datacube

__all__ = ["Guest", "Host"]

_ASKING = ("lookup", "open", "outlines", "lines")
"""Jobs that wait for servers more than they work."""
_LONG = ("map", "profile")
"""Jobs that would keep the short ones waiting; they have turns of their own, or only read."""
_LOOKING_ON = ("job",)
"""No work: the estimate of a glacier has a thread and a turn of its own."""


class Guest(Protocol):
    """A session, as its host sees it."""

    document: Any

    def close(self) -> None:
        """Stop everything."""
        ...

    @property
    def working(self) -> int:
        """Jobs at work."""
        ...


class Host:
    """Everything that sessions share in a process.

    Parameters
    ----------
    rules : Rules
        What visitors may do.
    results : Path, optional
        Folder of the estimates of whole glaciers.
    cluster : str, optional
        Address of a Dask scheduler that estimates them; by default threads of this process do.
    """

    def __init__(self, rules: Rules = HOME, results: Path | None = None, cluster: str | None = None) -> None:
        self.rules = rules
        self.glaciers = Turns(rules.jobs, rules.queue)
        self.crew = Turns(rules.threads)
        self.askers = Turns(4 * rules.threads)
        self.tally = Tally()
        kept = Results(results or results_folder(), rules.quota, rules.days)
        self.jobs = GlacierJobs(kept, self.glaciers, self.tally, cluster)
        self.downloads = False
        """Results are sent by the server itself, see `dashboard.hosting.downloads`."""
        self.blocks = BlockCache(rules.memory)
        self.lag = 0.0
        """How late the event loop was lately [s]."""
        self.closing = False
        """The process is about to end."""
        self._guests: WeakSet[Any] = WeakSet()
        self.used: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
        """When a document last heard of its person, on the monotonic clock [s]."""
        self._cubes: WeakValueDictionary[str, Datacube] = WeakValueDictionary()
        self._lock = threading.Lock()
        self._opening: dict[str, threading.Lock] = {}

    @property
    def guests(self) -> list[Guest]:
        """Those who are here."""
        with self._lock:
            return list(self._guests)

    def welcome(self, guest: Guest) -> None:
        """Remember who is here, as long as somebody else does."""
        with self._lock:
            self._guests.add(guest)

    def stop_with_process(self) -> None:
        """Stop all work when the main thread has ended; else the process would wait for it."""

        def wait() -> None:
            threading.main_thread().join()
            self.stop()

        threading.Thread(target=wait, name="itslive-host", daemon=True).start()

    def stop(self) -> None:
        """Stop all work: the process ends."""
        self.closing = True
        self.jobs.stop_all()
        for guest in self.guests:
            guest.close()

    def open_cube(self, path_or_url: str | os.PathLike[str]) -> Datacube:
        """Open a datacube; sessions that open the same one share it and what was read of it.

        Raises
        ------
        CubeError
        """
        from itslive_core import open_cube

        name = str(path_or_url)
        with self._lock:
            opening = self._opening.setdefault(name, threading.Lock())
        try:
            with opening:
                found = self._cubes.get(name)
                if found is None:
                    found = self._cubes[name] = open_cube(name, cache=self.blocks)
                return found
        finally:
            with self._lock:
                if not opening.locked():
                    self._opening.pop(name, None)

    @contextmanager
    def at_work(self, lane: str) -> Iterator[None]:
        """Hold a place among those who work, count the job and note how long it takes.

        Raises
        ------
        StoppedError
            If the job is to stop while it waits.
        """
        if lane in _LOOKING_ON:
            yield
            return
        turns = Turns() if lane in _LONG else self.askers if lane in _ASKING else self.crew
        with turns.turn() as waits:
            for _ in waits:
                pass
            with self.tally.timed(lane):
                yield
