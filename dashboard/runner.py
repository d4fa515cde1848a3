"""Work off the event loop: worker threads put results in a queue, and one consumer a session takes them out.

A worker never touches a widget, a parameter or a plot. Handing over each increment as a callback of the
document loses or reorders some of them; a queue with a single consumer keeps them all, in order.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from enum import Enum
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from itslive_core.errors import ItsliveError
from itslive_core.support.stopping import StoppedError, stoppable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

__all__ = ["Job", "JobRunner", "Kernels", "Policy", "explain", "once"]

_LOG = logging.getLogger(__name__)


class Policy(Enum):
    """What happens to older jobs of a lane when a new one comes."""

    CANCEL = "cancel"
    """The running job is told to stop, its results are dropped: for long jobs."""
    CONFLATE = "conflate"
    """The running job may finish, only the newest of the waiting ones is kept: for short jobs of a slider."""
    ALL = "all"
    """Every job is done, one after the other."""


def explain(error: BaseException) -> str:
    """Turn an exception into one clear sentence for a person."""
    if isinstance(error, ItsliveError):
        return str(error)
    if isinstance(error, MemoryError):
        return "Not enough memory for this: choose a smaller glacier or a longer interval"
    return f"Something unexpected went wrong ({type(error).__name__}: {error}); the log has the details"


class Kernels(Protocol):
    """Kernels that work may need, and that may have to be compiled first."""

    def ready(self, stages: Iterable[str]) -> bool:
        """Whether nobody needs to wait for these."""
        ...

    def wait(self, stages: Sequence[str], should_stop: Callable[[], bool]) -> None:
        """Wait until they are there."""
        ...


Work: TypeAlias = "Callable[[Callable[[], bool]], Iterable[Any]]"
"""Takes `should_stop` and yields results; runs on a worker thread."""


@dataclass(eq=False)
class Job:
    """One piece of work and what the session does with its results.

    Parameters
    ----------
    lane : str
        Jobs of one lane run one after the other, lanes run side by side.
    work : callable
        Called on a worker thread with `should_stop`; an iterable of results.
    on_result, on_error, on_done : callable
        Called by the session's consumer with a result, with a sentence, and with whether it was stopped.
    needs : tuple of str
        Stages of the kernels that the work needs.
    """

    lane: str
    work: Work
    on_result: Callable[[Any], None]
    on_error: Callable[[str], None]
    on_done: Callable[[bool], None] | None = None
    needs: tuple[str, ...] = ()
    stop: threading.Event = field(default_factory=threading.Event)
    silent: bool = False


class _Lane:
    """A worker thread that lives as long as there is work."""

    def __init__(
        self,
        name: str,
        post: Callable[[Job, str, Any], None],
        kernels: Kernels | None,
        at_work: Callable[[str], AbstractContextManager[Any]],
    ) -> None:
        self._name = name
        self._at_work = at_work
        self._post = post
        self._kernels = kernels
        self._lock = threading.Lock()
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None

    def submit(self, job: Job, policy: Policy) -> None:
        with self._lock:
            if policy is not Policy.ALL:
                self._waiting.clear()
            if policy is Policy.CANCEL and self._running is not None:
                self._running.silent = True
                self._running.stop.set()
            self._waiting.append(job)
            if self._running is None:
                self._running = self._waiting.popleft()
                threading.Thread(
                    target=self._run, args=(self._running,), name=f"itslive-{self._name}", daemon=True
                ).start()

    def stop(self, *, silent: bool) -> None:
        with self._lock:
            self._waiting.clear()
            if self._running is not None:
                self._running.silent |= silent
                self._running.stop.set()

    @property
    def busy(self) -> bool:
        with self._lock:
            return self._running is not None

    def _run(self, job: Job | None) -> None:
        while job is not None:
            self._do(job)
            with self._lock:
                job = self._running = self._waiting.popleft() if self._waiting else None

    def _do(self, job: Job) -> None:
        try:
            if self._kernels is not None and not self._kernels.ready(job.needs):
                self._post(job, "waiting", True)
                self._kernels.wait(job.needs, job.stop.is_set)
                self._post(job, "waiting", False)
            with stoppable(job.stop.is_set), self._at_work(job.lane):
                for result in job.work(job.stop.is_set):
                    self._post(job, "result", result)
                    if job.stop.is_set():
                        break
        except StoppedError:
            pass  # as it was told to
        except Exception as error:  # noqa: BLE001 - whatever happens on the thread, the person must be told
            if not isinstance(error, ItsliveError):
                _LOG.exception("the job %r failed", job.lane)
            self._post(job, "error", explain(error))
        self._post(job, "done", job.stop.is_set())


class JobRunner:
    """Lanes of work of one session, and the queue that leads their results back to it.

    Parameters
    ----------
    applying : callable, optional
        Makes the context in which results are applied (the document, with its messages held together).
    on_crash : callable, optional
        Told in one sentence when applying a result failed.
    urgent : tuple of str
        Lanes whose results come before what was left for later.
    kernels : Kernels, optional
        Asked before work that needs them.
    at_work : callable, optional
        Takes the name of a lane and makes the context in which its jobs work: a place among those of others.
    """

    def __init__(
        self,
        applying: Callable[[], AbstractContextManager[Any]] = nullcontext,
        on_crash: Callable[[str], None] | None = None,
        urgent: tuple[str, ...] = (),
        kernels: Kernels | None = None,
        at_work: Callable[[str], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self._applying = applying
        self._at_work = at_work
        self._on_crash = on_crash
        self._urgent = urgent
        self._kernels = kernels
        self.on_waiting: Callable[[bool], None] | None = None
        """Told, in the session, when work begins to wait for kernels, and when it no longer does."""
        self.on_drained: Callable[[], None] | None = None
        """Called after each round of results, in their context: the place to draw once what came in parts."""
        self._queue: SimpleQueue[tuple[Job, str, Any]] = SimpleQueue()
        self._lanes: dict[str, _Lane] = {}
        self._later: dict[str, Callable[[], None]] = {}
        self._due: dict[str, tuple[float, Callable[[], None]]] = {}
        self._wake: Callable[[], None] | None = None
        self._closed = False

    def submit(
        self,
        lane: str,
        work: Work,
        on_result: Callable[[Any], None],
        on_error: Callable[[str], None],
        *,
        on_done: Callable[[bool], None] | None = None,
        policy: Policy = Policy.CANCEL,
        needs: tuple[str, ...] = (),
    ) -> Job:
        """Start a job, or let it wait for its lane."""
        job = Job(lane, work, on_result, on_error, on_done, needs)
        if not self._closed:
            self._lanes.setdefault(lane, _Lane(lane, self._post, self._kernels, self._at_work)).submit(
                job, policy
            )
        return job

    def cancel(self, lane: str, *, silent: bool = False) -> None:
        """Ask the job of a lane to stop; its `on_done` is told, unless silent."""
        if lane in self._lanes:
            self._lanes[lane].stop(silent=silent)

    def busy(self, lane: str) -> bool:
        """Whether a job of a lane runs."""
        return lane in self._lanes and self._lanes[lane].busy

    @property
    def working(self) -> int:
        """Jobs at work."""
        return sum(lane.busy for lane in list(self._lanes.values()))

    def close(self) -> None:
        """Stop everything: the session is gone."""
        self._closed = True
        for lane in list(self._lanes.values()):
            lane.stop(silent=True)
        if self._wake is not None:
            self._wake()

    def drain(self) -> int:
        """Apply all results that are there, in order, and return how many messages there were."""
        messages: list[tuple[Job, str, Any]] = []
        while True:
            try:
                messages.append(self._queue.get_nowait())
            except Empty:
                break
        if messages and not self._closed:
            with self._applying():
                for job, kind, value in messages:
                    self._apply(job, kind, value)
                if self.on_drained is not None:
                    self.on_drained()
        return len(messages)

    def later(self, name: str, act: Callable[[], None]) -> None:
        """Do something in the session once what is urgent has reached the page; of one name only the last.

        Without a consumer, as in a plain script, call `catch_up`.
        """
        self._later[name] = act
        if self._wake is not None:
            self._wake()

    def after(self, seconds: float, name: str, act: Callable[[], None] | None) -> None:
        """Do something in the session in so many seconds, whatever is at work; of one name only the last.

        Parameters
        ----------
        seconds : float
        name : str
        act : callable or None
            None takes back what was to be done.
        """
        if act is None:
            self._due.pop(name, None)
            return
        self._due[name] = (time.monotonic() + seconds, act)
        if self._wake is not None:
            self._wake()

    def catch_up(self) -> None:
        """Do what was left for later."""
        acts, self._later = self._later, {}
        self._do_all(acts)

    def _do_due(self) -> float | None:
        """Do what is due, and return how long it is until something else is [s]."""
        now = time.monotonic()
        self._do_all(
            {name: self._due.pop(name)[1] for name, (when, _) in list(self._due.items()) if when <= now}
        )
        return max(0.0, min(when for when, _ in self._due.values()) - now) if self._due else None

    def _do_all(self, acts: Mapping[str, Callable[[], None]]) -> None:
        if acts and not self._closed:
            with self._applying():
                for name, act in acts.items():
                    try:
                        act()
                    except Exception as error:  # noqa: BLE001 - it must not end the consumer of the session
                        _LOG.exception("%r could not be shown", name)
                        if self._on_crash is not None:
                            self._on_crash(explain(error))

    async def consume(self, pause: float = 0.015) -> None:
        """Apply results as they come, until the session is closed. Run exactly one of these a session.

        Parameters
        ----------
        pause : float
            Shortest time between two rounds [s], so that a fast stream is drawn in few, larger steps.
        """
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()

        def wake() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(arrived.set)

        self._wake = wake
        while not self._closed:
            self.drain()
            await asyncio.sleep(pause)
            patience = self._do_due()
            if self._queue.empty() and self._later:
                if any(self.busy(lane) for lane in self._urgent):
                    with suppress(TimeoutError):
                        await asyncio.wait_for(
                            arrived.wait(), 0.25 if patience is None else min(0.25, patience)
                        )
                else:
                    self.catch_up()
            elif self._queue.empty():
                with suppress(TimeoutError):
                    await asyncio.wait_for(arrived.wait(), patience)
            arrived.clear()

    def _post(self, job: Job, kind: str, value: Any) -> None:
        self._queue.put((job, kind, value))
        if self._wake is not None:
            try:
                self._wake()
            except RuntimeError:  # the loop was closed between the check and the call: nobody is left to tell
                self._closed = True

    def _apply(self, job: Job, kind: str, value: Any) -> None:
        if kind == "waiting":
            if self.on_waiting is not None:
                self.on_waiting(value)
            return
        if job.silent:
            return
        try:
            if kind == "result":
                job.on_result(value)
            elif kind == "error":
                job.on_error(value)
            elif job.on_done is not None:
                job.on_done(value)
        except Exception as error:  # noqa: BLE001 - one bad result must not end the consumer of the session
            _LOG.exception("a result of %r could not be shown", job.lane)
            if self._on_crash is not None:
                self._on_crash(explain(error))


def once(function: Callable[..., Any], *args: Any) -> Work:
    """Make work of a single result from a function."""

    def work(should_stop: Callable[[], bool]) -> Iterator[Any]:  # noqa: ARG001 - a single step
        yield function(*args)

    return work
