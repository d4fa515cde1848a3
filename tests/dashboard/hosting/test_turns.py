"""Turns: so many at a time, in order, with a place in the queue; those who leave hold nobody up."""

from __future__ import annotations

import threading

import pytest

from dashboard.hosting.host import Host
from dashboard.hosting.rules import Rules
from dashboard.hosting.turns import BusyError, Turns
from itslive_core.support.stopping import StoppedError, stoppable
from tests.waiting import until


class Job(threading.Thread):
    """Holds a turn until it is told to end; keeps what it was told while it waited."""

    def __init__(self, turns: Turns) -> None:
        super().__init__(daemon=True)
        self.turns, self.told, self.stop = turns, [], threading.Event()
        self.done, self.works, self.error = threading.Event(), threading.Event(), None
        self.start()

    def run(self) -> None:
        try:
            with stoppable(self.stop.is_set), self.turns.turn() as waits:
                for before in waits:
                    self.told.append(before)
                self.works.set()
                self.done.wait()
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            self.error = error


def test_the_order_of_coming_is_kept_and_each_is_told_its_place():
    turns = Turns(1)
    first = Job(turns)
    assert first.works.wait(10)
    second = Job(turns)
    until(lambda: second.told == [0])
    third = Job(turns)
    until(lambda: third.told == [1])
    assert (turns.working, turns.waiting) == (1, 2)
    first.done.set()
    assert second.works.wait(10)
    until(lambda: third.told == [1, 0])
    assert not third.works.is_set()
    second.done.set()
    assert third.works.wait(10)
    third.done.set()
    until(lambda: turns.working == 0)


def test_who_gives_up_while_waiting_holds_nobody_up():
    turns = Turns(1)
    first = Job(turns)
    assert first.works.wait(10)
    second = Job(turns)
    until(lambda: second.told)
    third = Job(turns)
    until(lambda: third.told == [1])
    second.stop.set()
    until(lambda: isinstance(second.error, StoppedError))
    first.done.set()
    assert third.works.wait(10)
    third.done.set()
    until(lambda: (turns.working, turns.waiting) == (0, 0))


def test_a_full_queue_refuses_with_words_and_errors_give_the_place_back():
    turns = Turns(1, queue=1)
    first = Job(turns)
    assert first.works.wait(10)
    second = Job(turns)
    until(lambda: second.told)
    with pytest.raises(BusyError, match="try again later"), turns.turn():
        pytest.fail("it was let in")
    first.done.set()
    assert second.works.wait(10)
    second.done.set()
    until(lambda: turns.working == 0)

    def fail():
        with turns.turn() as waits:
            assert list(waits) in ([], [0])
            raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        fail()
    assert (turns.working, turns.waiting) == (0, 0)


def test_without_a_limit_nobody_waits():
    turns = Turns()
    jobs = [Job(turns) for _ in range(5)]
    assert all(job.works.wait(10) for job in jobs)
    for job in jobs:
        job.done.set()


def test_short_jobs_have_places_that_long_ones_do_not_take():
    host = Host(Rules(threads=1))
    with host.at_work("job"), host.at_work("map"), host.at_work("profile"), host.at_work("fit"):
        assert host.crew.working == 1
    assert host.crew.working == 0
    assert 'itslive_job_seconds_count{lane="fit"} 1' in host.tally.lines()
