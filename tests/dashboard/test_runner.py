"""The worker: complete and in order, newest wins, cancel, errors as sentences."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from dashboard.runner import JobRunner, Policy, explain, once
from itslive_core.errors import CubeError
from tests.loops import run_apart
from tests.waiting import seconds, until


class Box:
    """Collects what reaches the session."""

    def __init__(self, **options):
        self.results, self.errors, self.done = [], [], []
        self.runner = JobRunner(**options)

    def submit(self, work, lane="lane", **options):
        return self.runner.submit(
            lane, work, self.results.append, self.errors.append, on_done=self.done.append, **options
        )

    def until(self, condition):
        def drive():
            self.runner.drain()
            time.sleep(0.005)

        until(condition, usual=10, between=drive, what="nothing came")


def count(n, gate=None):
    def work(should_stop):
        for number in range(n):
            if should_stop():
                return
            if gate is not None:
                gate.wait(seconds(5))
            yield number

    return work


def test_all_increments_arrive_in_order():
    box = Box()
    box.submit(count(200))
    box.until(lambda: box.done)
    assert box.results == list(range(200))
    assert box.done == [False]


def test_newest_wins_and_the_older_is_silent():
    box, gate = Box(), threading.Event()
    old = box.submit(count(50, gate))
    box.submit(once(lambda: "new"))
    gate.set()
    box.until(lambda: "new" in box.results)
    assert old.stop.is_set()
    assert box.results == ["new"]


def test_conflation_finishes_the_running_and_keeps_the_newest():
    box, gate = Box(), threading.Event()

    def slow():
        gate.wait(seconds(5))
        return "first"

    box.submit(once(slow), policy=Policy.CONFLATE)
    for number in range(20):
        box.submit(once(lambda number=number: number), policy=Policy.CONFLATE)
    gate.set()
    box.until(lambda: 19 in box.results)
    assert box.results == ["first", 19]


def test_every_job_is_done_if_asked():
    box = Box()
    for number in range(5):
        box.submit(once(lambda number=number: number), policy=Policy.ALL)
    box.until(lambda: len(box.done) == 5)
    assert box.results == list(range(5))


def test_cancel_stops_and_tells():
    box = Box()

    def endless(should_stop):
        while not should_stop():
            yield 1
            time.sleep(0.002)

    box.submit(endless)
    box.until(lambda: box.results)
    box.runner.cancel("lane")
    box.until(lambda: box.done)
    assert box.done == [True]
    assert not box.runner.busy("lane")


def test_lanes_do_not_wait_for_each_other():
    box, gate = Box(), threading.Event()
    box.submit(count(1, gate), lane="long")
    box.submit(once(lambda: "short"), lane="short")
    box.until(lambda: box.results == ["short"])
    gate.set()
    box.until(lambda: len(box.done) == 2)


def test_errors_travel_through_the_queue(caplog):
    box = Box()

    def broken():
        raise CubeError("there is no datacube at X: check the path")

    def bug():
        raise RuntimeError("boom")

    box.submit(once(broken))
    box.until(lambda: box.errors)
    assert box.errors == ["there is no datacube at X: check the path"]
    box.submit(once(bug))
    box.until(lambda: len(box.errors) == 2)
    assert "RuntimeError: boom" in box.errors[1]
    box.submit(once(lambda: "alive"))
    box.until(lambda: "alive" in box.results)
    assert "Traceback" in caplog.text


def test_a_result_that_cannot_be_shown_does_not_end_the_session():
    told = []
    runner = JobRunner(on_crash=told.append)
    shown = []
    runner.submit("lane", count(3), lambda number: shown.append(1 / number), told.append)
    until(lambda: len(shown) == 2, usual=5, between=lambda: time.sleep(0 if runner.drain() else 0.005))
    assert "ZeroDivisionError" in told[0]


def test_the_consumer_wakes_up_and_ends():
    box, later = Box(), []

    async def session():
        task = asyncio.create_task(box.runner.consume())
        await asyncio.sleep(0.05)
        box.submit(count(20))
        box.runner.later("name", lambda: later.append("old"))
        box.runner.later("name", lambda: later.append("new"))
        for _ in range(int(seconds(2) / 0.01)):
            if box.done and later:
                break
            await asyncio.sleep(0.01)
        box.runner.close()
        await asyncio.wait_for(task, seconds(5))

    # On a thread of its own: a browser test of the same run may have left a loop on this one.
    thread = threading.Thread(target=asyncio.run, args=(session(),))
    thread.start()
    thread.join(seconds(10))
    assert box.results == list(range(20))
    assert later == ["new"]


def test_what_is_due_is_done_whatever_works_and_can_be_taken_back():
    async def session():
        runner, gate, did = JobRunner(urgent=("lane",)), threading.Event(), []
        due, late = asyncio.Event(), asyncio.Event()
        consumer = asyncio.ensure_future(runner.consume())
        runner.submit("lane", count(1, gate), did.append, did.append)
        runner.later("later", lambda: (did.append("later"), late.set()))
        runner.after(0.01, "a", lambda: did.append("first"))
        runner.after(0.02, "a", lambda: (did.append("second"), due.set()))
        runner.after(0.01, "b", lambda: did.append("never"))
        runner.after(0.0, "b", None)
        await asyncio.wait_for(due.wait(), seconds(10))
        gate.set()
        await asyncio.wait_for(late.wait(), seconds(10))
        runner.close()
        await consumer
        return did

    assert run_apart(session()) == ["second", 0, "later"]


def test_nothing_runs_after_the_session_is_gone():
    box = Box()
    box.runner.close()
    box.submit(once(lambda: 1))
    time.sleep(0.05)
    assert box.runner.drain() == 0


@pytest.mark.parametrize(
    ("error", "text"), [(MemoryError(), "Not enough memory"), (CubeError("plain"), "plain")]
)
def test_explanations_are_sentences(error, text):
    assert explain(error).startswith(text)


class SlowKernels:
    """Kernels that are there once a gate opens."""

    def __init__(self) -> None:
        self.gate = threading.Event()

    def ready(self, stages):
        return not stages or self.gate.is_set()

    def wait(self, stages, should_stop):
        self.gate.wait(seconds(10))


def test_work_that_needs_kernels_waits_for_them_and_says_so():
    kernels, said, got = SlowKernels(), [], []
    runner = JobRunner(kernels=kernels)
    runner.on_waiting = said.append
    runner.submit("plain", once(lambda: 1), got.append, got.append)
    runner.submit("fit", once(lambda: 2), got.append, got.append, needs=("inversion",))
    until(lambda: runner.drain() >= 0 and 1 in got and said == [True])
    assert got == [1]
    kernels.gate.set()
    until(lambda: runner.drain() >= 0 and got == [1, 2])
    assert said == [True, False]
