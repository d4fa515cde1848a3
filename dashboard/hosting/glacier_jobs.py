"""Estimates of whole glaciers as jobs of the server: they fill a store, and may outlive who started them.

All sessions of a process share one `GlacierJobs`, which knows none of them. What other processes of the
server work on is followed through the folder of results.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from dashboard.hosting.job_run import Attendance, Follower, Run, Wanted
from dashboard.hosting.results import NoResultError
from dashboard.hosting.standing import SHOWN, StoredBlock, standing_of
from itslive_core.errors import OutputError
from itslive_core.jobs.size import size_of_job
from itslive_core.jobs.stored import StoredArea
from itslive_core.observations.selection import PairSelection
from itslive_core.recipes import differences, glacier_of, settings_of
from itslive_core.series.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dashboard.hosting.results import Record, Results
    from dashboard.hosting.standing import Standing
    from dashboard.hosting.tally import Tally
    from dashboard.hosting.turns import Turns
    from itslive_core import Datacube
    from itslive_core.jobs.glacier import BlockResult
    from itslive_core.jobs.size import JobSize

__all__ = ["GlacierJobs"]

_LOOK = 0.5
"""Between two looks at a job of another process [s]."""
_PATIENCE = 10.0
"""A run that was told to end does so within this [s]."""


class GlacierJobs:
    """Starts, follows and ends the estimates of whole glaciers.

    Parameters
    ----------
    results : Results
        Where they are kept.
    turns : Turns
        So many work at a time.
    tally : Tally
        Counts them.
    """

    def __init__(self, results: Results, turns: Turns, tally: Tally, cluster: str | None = None) -> None:
        self.results, self._cluster = results, cluster
        self._turns, self._tally = turns, tally
        self._lock = threading.Lock()
        self._runs: dict[str, Run] = {}

    @property
    def working(self) -> int:
        """Jobs of this process that are not at their end."""
        return len(self._runs)

    def start(
        self,
        wanted: Wanted,
        *,
        keep: bool,
        known: Callable[[str], bool] = lambda _: True,
        check: Callable[[JobSize], None] = lambda _: None,
    ) -> tuple[str, Attendance]:
        """Start a job, or go on with one that gives the same.

        Parameters
        ----------
        wanted : Wanted
        keep : bool
            Go on when nobody attends it.
        known : callable
            Tells of an id whether it is known to who asks: only such a job is gone on with.
        check : callable
            Raises where a job is too large.

        Returns
        -------
        id : str
        attendance : Attendance

        Raises
        ------
        CoverageError, SelectionError, SettingsError, OutputError
        """
        size = size_of_job(wanted.cubes, wanted.glacier, wanted.settings, wanted.selection)
        check(size)
        same = next((job for job in self.results.ids() if known(job) and self._is(job, size.recipe)), None)
        if same is None:
            record = self.results.create(str(wanted.glacier.label), size, keep=keep)
        else:
            record = self.results.record(same)
            self.keep(same, keep)
        return record.id, self._begin(record, wanted)

    def resume(self, job: str, open_cube: Callable[[str], Datacube]) -> Attendance:
        """Go on with a job; where this process works on it already, only attend it.

        Parameters
        ----------
        job : str
        open_cube : callable
            Opens a datacube by its address.

        Raises
        ------
        ItsliveError
            If it is gone, or its datacubes have changed.
        """
        record = self.results.record(job)
        recipe = Recipe.from_json(record.size.recipe)
        settings, glacier = settings_of(recipe), glacier_of(recipe)
        cubes = [open_cube(cube.url) for cube in recipe.cubes]
        changed = differences(recipe, cubes)
        if changed or settings is None or glacier is None:
            raise OutputError(f"{'; '.join(changed) or 'its recipe is damaged'}: estimate it anew")
        return self._begin(
            record, Wanted(cubes, glacier, settings, PairSelection.from_dict(recipe.selection))
        )

    def attend(self, job: str) -> Attendance | None:
        """Let a job go on as long as the result is held; None if this process does not work on it."""
        run = self._runs.get(job)
        return None if run is None else Attendance(run)

    def keep(self, job: str, keep: bool) -> None:
        """Let a job go on when nobody attends it, or not."""
        self.results.wish(job, "keep", keep)
        if (run := self._runs.get(job)) is not None:
            run.change(keep=keep)

    def stop(self, job: str) -> None:
        """Stop a job, whichever process works on it; what is finished stays."""
        if (run := self._runs.get(job)) is not None:
            run.stop()
        elif self.results.is_worked_on(job):
            self.results.wish(job, "stop")

    def stop_all(self) -> None:
        """Stop all jobs of this process."""
        for run in list(self._runs.values()):
            run.stop()

    def wait(self, seconds: float = _PATIENCE) -> None:
        """Wait until no job of this process is at work, but not longer."""
        until = time.monotonic() + seconds
        for run in list(self._runs.values()):
            run.join(until - time.monotonic())

    def delete(self, job: str) -> None:
        """Stop a job and delete its result.

        Raises
        ------
        NoResultError, OutputError
            If it is gone, or does not end.
        """
        self.stop(job)
        until = time.monotonic() + _PATIENCE
        while self.results.is_worked_on(job) and time.monotonic() < until:
            time.sleep(0.05)
        self.results.delete(job)

    def standing(self, job: str) -> Standing:
        """Say how a job stands.

        Raises
        ------
        NoResultError
        """
        if (run := self._runs.get(job)) is not None:
            return run.standing
        results, record = self.results, self.results.record(job)
        end, worked_on = results.end(job), results.is_worked_on(job)
        keep = results.wished(job, "keep")
        found = standing_of(record, results.finished(job), end, state="stopped", keep=keep)
        if worked_on:
            return replace(found, state="stopping" if results.wished(job, "stop") else "working")
        if found.done == found.pixels:
            return replace(found, state="done")
        return replace(found, state="failed" if end.state == "failed" else "stopped", words=end.words)

    def follow(
        self, job: str, should_stop: Callable[[], bool]
    ) -> Iterator[Standing | BlockResult | StoredBlock]:
        """Give what a job has done, and what it does, until it ends.

        Parameters
        ----------
        job : str
        should_stop : callable
            Asked often.

        Yields
        ------
        Standing, BlockResult, StoredBlock
            The last is a standing.

        Raises
        ------
        NoResultError, OutputError
        """
        follower, run = Follower(), self._runs.get(job)
        there = self.results.finished(job) if run is None else run.follow(follower)
        yield self.standing(job)
        record = self.results.record(job)
        yield from self._read(record, there, should_stop)
        if run is not None:
            yield from follower.heard(should_stop)
        elif self.results.is_worked_on(job):
            yield from self._watched(record, set(there), should_stop)
        if not should_stop():
            yield self.standing(job)

    def _is(self, job: str, recipe: str) -> bool:
        try:
            return self.results.record(job).size.recipe == recipe
        except NoResultError:
            return False

    def _begin(self, record: Record, wanted: Wanted) -> Attendance:
        job = record.id
        if (run := self._runs.get(job)) is not None:
            if not run.stopping.is_set():
                return Attendance(run)
            run.join(_PATIENCE)
        lock = self.results.lock(job)
        self.results.wish(job, "stop", wanted=False)

        def ended() -> None:
            lock.release()
            with self._lock:
                self._runs.pop(job, None)

        run = Run(record, wanted, self.results, self._turns, self._tally, ended, self._cluster)
        attendance = Attendance(run)
        with self._lock:
            self._runs[job] = run
        run.start()
        return attendance

    def _read(
        self, record: Record, names: tuple[str, ...], should_stop: Callable[[], bool]
    ) -> Iterator[StoredBlock]:
        """Read blocks of a store."""
        if not names:
            return
        area = StoredArea(self.results.store(record.id))
        choice = str(area.attributes.get("cube_choice", ""))
        for name in names:
            if should_stop():
                return
            if name in record.size.blocks:
                yield StoredBlock(area.block(record.size.blocks[name], SHOWN), choice)

    def _watched(
        self, record: Record, there: set[str], should_stop: Callable[[], bool]
    ) -> Iterator[Standing | StoredBlock]:
        """Follow a job of another process through its folder."""
        while not should_stop():
            self.results.wish(record.id, "seen")
            working = self.results.is_worked_on(record.id)
            new = tuple(name for name in self.results.finished(record.id) if name not in there)
            yield from self._read(record, new, should_stop)
            there.update(new)
            if not working:
                return
            yield self.standing(record.id)
            time.sleep(_LOOK)
