"""The estimate of a whole glacier as a job of the server: started, followed, found again, deleted."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from dashboard.hosting.job_run import Wanted
from dashboard.hosting.pace import kind_of, pace_of
from dashboard.hosting.results import NoResultError, is_id
from dashboard.hosting.secrets import nameless
from dashboard.hosting.standing import Standing
from dashboard.runner import Policy, once
from dashboard.state.jobs import words_of_size
from itslive_core.errors import ItsliveError
from itslive_core.estimators import estimator_of
from itslive_core.jobs.size import JobSize, size_of_job
from itslive_core.recipes import glacier_of, settings_of
from itslive_core.series.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dashboard.control.session import Session
    from dashboard.hosting.job_run import Attendance
    from dashboard.state.progress import Progress
    from itslive_core import Datacube, Glacier

__all__ = ["JobControl", "JobMap"]


class JobMap(Protocol):
    """Where the blocks of a job are shown."""

    def begin_estimate(self) -> None:
        """Make room for the blocks of a job."""
        ...

    def take_block(self, block: Any) -> None:
        """Show a `BlockResult` or `StoredBlock`."""
        ...

    def end_estimate(self) -> None:
        """Draw what came last."""
        ...


@dataclass(frozen=True, eq=False)
class _Begun:
    id: str
    attendance: Attendance | None


@dataclass(frozen=True, eq=False)
class _Opened:
    standing: Standing
    glacier: Glacier
    cubes: list[Datacube]


class JobControl:
    """Acts on the jobs of the server for one session.

    Parameters
    ----------
    session : Session
    progress : Progress
        Of the job that is followed.
    canvas : JobMap
        Shows its blocks, as long as `Jobs.current` is the job that is followed.
    """

    def __init__(self, session: Session, progress: Progress, canvas: JobMap) -> None:
        self._session, self._progress, self._canvas = session, progress, canvas
        self._jobs = session.host.jobs
        self._attending: dict[str, Attendance] = {}
        self._followed = ""
        self._sized: tuple[Any, JobSize] | None = None
        self._asked: Any = None
        self._given_up = threading.Event()
        self.state = session.jobs
        self.on_open: Callable[[Glacier, list[Datacube]], None] | None = None
        """Told the glacier of a result that is opened, and its datacubes: turns everything to it."""
        self.state.param.watch(self._keep_changed, "keep")

    def start(self, glacier: Glacier, cubes: list[Datacube]) -> None:
        """Estimate a whole glacier with the settings of now."""
        session, host = self._session, self._session.host
        choices = session.choices()
        if choices is None:
            return
        if self._has_work():
            return
        wanted = Wanted(cubes, glacier, choices.of_area, choices.selection)
        known, keep, jobs = frozenset(self.state.known), self.state.keep, self._jobs
        given_up = self._given_up = threading.Event()

        def is_known(job: str) -> bool:
            return not host.rules.public or job in known

        def work(should_stop: Callable[[], bool]) -> Iterator[Any]:
            job, attendance = jobs.start(
                wanted, keep=keep, known=is_known, check=lambda size: _check(host.rules, size)
            )
            if given_up.is_set():
                jobs.stop(job)
            yield _Begun(job, attendance)
            del attendance  # held by the session alone
            yield from jobs.follow(job, should_stop)

        self.state.current = None
        session.messages.clear()
        needs = estimator_of(wanted.settings).kernels(wanted.settings, area=True)
        self._follow(work, needs, [cube.url for cube in cubes])

    def stop(self) -> None:
        """Stop the job that is followed; what is finished stays."""
        self._progress.stop()
        self._given_up.set()
        if self._followed:
            self._jobs.stop(self._followed)
        else:
            self._session.runner.cancel("job")

    def stop_one(self, job: str) -> None:
        """Stop a job of the list."""
        if job == self._followed:
            self.stop()
        else:
            self._do(lambda: self._jobs.stop(job))

    def open(self, job: str, *, resume: bool = False) -> None:
        """Show a result on the map, with all that it comes from, and follow it where it is at work.

        Parameters
        ----------
        job : str
            Its id; of a stranger too, so it may be anything.
        resume : bool
            Go on with it.
        """
        host, jobs = self._session.host, self._jobs

        def work(_should_stop: Callable[[], bool]) -> Iterator[Any]:
            standing = jobs.standing(job) if is_id(job) else jobs.standing("")
            recipe = Recipe.from_json(jobs.results.record(job).size.recipe)
            glacier = glacier_of(recipe)
            if glacier is None:
                raise NoResultError("This result is not that of a glacier.")
            yield _Opened(standing, glacier, [host.open_cube(cube.url) for cube in recipe.cubes])

        def opened(found: _Opened) -> None:
            self.state.learn(job)
            self.state.note(found.standing)
            if self.on_open is not None:
                self.on_open(found.glacier, found.cubes)
            self.state.opening = job  # it stays in the address
            self.show(job, resume=resume)

        self.state.opening = job if is_id(job) else ""
        told = self._session.begin("Opening the result", "lookup")
        self._session.runner.submit(
            "lookup", work, opened, lambda words: self._tell(words, job), on_done=told, policy=Policy.CANCEL
        )

    def show(self, job: str, *, resume: bool = False) -> None:
        """Show a job on the map, whose glacier is chosen, and follow it; `resume` goes on with it."""
        session, jobs = self._session, self._jobs
        needs: tuple[str, ...] = ()
        if resume:
            if self._has_work():
                return
            try:
                settings = settings_of(Recipe.from_json(jobs.results.record(job).size.recipe))
            except ItsliveError as error:
                self._tell(str(error), job)
                return
            assert settings is not None
            needs = estimator_of(settings).kernels(settings, area=True)

        def work(should_stop: Callable[[], bool]) -> Iterator[Any]:
            attendance = jobs.resume(job, open_cube) if resume else jobs.attend(job)
            if resume and given_up.is_set():
                jobs.stop(job)
            yield _Begun(job, attendance)
            del attendance
            yield from jobs.follow(job, should_stop)

        open_cube, given_up = session.host.open_cube, threading.Event()
        self._given_up = given_up
        self._follow(work, needs, self.cubes_of(job))

    def delete(self, job: str) -> None:
        """Stop a job and delete its result."""
        self._attending.pop(job, None)
        self._do(lambda: self._jobs.delete(job), lambda: self.state.forget(job))

    def detach(self) -> None:
        """Show something else on the map; the job goes on, and so does its progress."""
        self.state.param.update(current=None, opening="")

    def refresh(self) -> None:
        """Look for the jobs that this visitor may see: all at home, on a public server those it knows."""
        jobs, known = self._jobs, list(self.state.known)
        ask = known if self._session.host.rules.public else None

        def look() -> list[Standing]:
            found = []
            for job in jobs.results.ids() if ask is None else ask:
                try:
                    found.append(jobs.standing(job) if is_id(job) else jobs.standing(""))
                except NoResultError:
                    continue
            return sorted(found, key=lambda one: -one.created)

        def listed(found: list[Standing]) -> None:
            self.state.listed = found

        self._session.runner.submit("results", once(look), listed, self._session.messages.error)

    def cubes_of(self, job: str) -> list[str]:
        """Return the addresses of the datacubes of a result; none where it is gone."""
        try:
            return self._jobs.results.record(job).cubes
        except NoResultError:
            return []

    def measure(self, glacier: Glacier | None, cubes: list[Datacube]) -> None:
        """Say how large the estimate of a glacier is with the settings of now, and how long it takes."""
        session, jobs = self._session, self._jobs
        if glacier is None or not cubes:
            self.state.size = ""
            return
        choices = session.choices()
        if choices is None:
            return
        settings, selection = choices.of_area, choices.selection
        place = (id(glacier), tuple(cube.url for cube in cubes), settings.interval, selection)
        asked = (place, kind_of(estimator_of(settings).name, settings.to_dict()))
        if asked == self._asked:
            return  # that λ moved changes nothing
        self._asked, sized = asked, self._sized

        def work() -> tuple[Any, JobSize, str]:
            size = sized[1] if sized is not None and sized[0] == place else None
            size = size or size_of_job(cubes, glacier, settings, selection)
            pace = pace_of(jobs.results, settings)
            seconds = None if pace is None else pace * size.pixels
            return place, size, words_of_size(size.pixels, size.cells, size.bytes, seconds)

        def measured(found: tuple[Any, JobSize, str]) -> None:
            self._sized = found[:2]
            self.state.size = found[2]

        def unknown(_message: str) -> None:
            self.state.size = ""  # whoever presses the button is told why

        session.runner.submit("size", once(work), measured, unknown, policy=Policy.CONFLATE)

    def close(self) -> None:
        """Let go of all jobs: the session ends, and what is not to be kept need not go on for it."""
        for attendance in self._attending.values():
            attendance.end()
        self._attending.clear()

    def _follow(
        self,
        work: Callable[[Callable[[], bool]], Iterator[Any]],
        needs: tuple[str, ...],
        addresses: list[str],
    ) -> None:
        """Begin to follow a job; `addresses` of its datacubes may be in what is told of it."""
        self._followed = ""
        self._progress.start()
        self._session.runner.cancel("map")
        self._canvas.begin_estimate()
        self._session.runner.submit(
            "job",
            work,
            self._take,
            lambda words: self._failed(words, addresses),
            on_done=self._done,
            policy=Policy.CANCEL,
            needs=needs,
        )

    def _take(self, event: Any) -> None:
        """Take in what a job tells."""
        if isinstance(event, _Begun):
            self._followed = event.id
            self.state.learn(event.id)
            if event.attendance is not None:
                self._attending[event.id] = event.attendance
            standing = self._jobs.standing(event.id)
            self.state.param.update(current=standing, opening="")
            self.state.note(standing)
            self._progress.begin_at(standing.done, standing.pixels)
        elif isinstance(event, Standing):
            self.state.note(event)
            if event.state == "waiting":
                self._progress.wait_for(event.before)
            elif event.active:
                self._progress.step(event.done, event.pixels, event.previewed)
        elif self._is_shown:
            self._canvas.take_block(event)

    @property
    def _is_shown(self) -> bool:
        """The map shows the job that is followed."""
        return self.state.current is not None and self.state.current.id == self._followed

    def _done(self, _stopped: bool) -> None:
        standing = next((one for one in self.state.listed if one.id == self._followed), None)
        if standing is None or not self._followed:
            if self._progress.running:
                self._progress.finish("Stopped")
            return
        self._attending.pop(self._followed, None)
        self._asked = None  # the pace is known now
        words = self._shown(standing.words, self.cubes_of(standing.id)) if standing.words else ""
        if standing.failed:
            self._session.messages.error(
                f"{standing.failed} of {standing.blocks} blocks failed, first: {words}"
            )
        elif words:
            self._session.messages.error(words)
        if self._progress.running:
            several = f", from {standing.cubes} datacubes" if standing.cubes > 1 else ""
            self._progress.end(standing.state, standing.done, standing.pixels, several)
        if self._is_shown:
            self._canvas.end_estimate()

    def _failed(self, message: str, addresses: list[str]) -> None:
        self.state.opening = ""
        self._progress.finish("Failed")
        self._session.messages.error(self._shown(message, addresses))

    def _has_work(self) -> bool:
        """Tell a stranger, and return True, if something that this session has begun is not at its end."""
        if not self._session.host.rules.public:
            return False
        for job in list(self._attending):
            try:
                standing = self._jobs.standing(job)
            except NoResultError:
                continue
            if standing.active:
                self._session.messages.tell(
                    f"Your estimate of {standing.name} is not finished: stop it first, or wait for it.",
                    "warning",
                )
                return True
        return False

    def _keep_changed(self, event: Any) -> None:
        if self._followed and self._progress.running:
            self._jobs.keep(self._followed, event.new)

    def _do(self, act: Callable[[], None], then: Callable[[], None] = lambda: None) -> None:
        """Do something that may take a moment."""
        self._session.runner.submit(
            "results", once(act), lambda _: then(), self._session.messages.error, policy=Policy.ALL
        )

    def _tell(self, words: str, job: str) -> None:
        """Tell what is wrong with a result; one that is gone is forgotten."""
        self.state.opening = ""
        addresses = self.cubes_of(job)
        if not addresses:
            self.state.forget(job)
        self._session.messages.error(self._shown(words, addresses))

    def _shown(self, words: str, addresses: list[str]) -> str:
        """Return words as a visitor may read them: strangers learn no folder of datacubes."""
        return nameless(words, addresses) if self._session.host.rules.public else words


def _check(rules: Any, size: JobSize) -> None:
    """Refuse what is too large for this server."""
    rules.check_values(size.pixels, size.cells)
