"""Long work gives up when it is told to, wherever it is, and whatever catches errors around it."""

from __future__ import annotations

import threading

import pytest

from itslive_core.support.stopping import StoppedError, check_stop, map_in_threads, stoppable


def test_nobody_is_asked_where_nobody_was_named():
    check_stop()
    with stoppable(None):
        check_stop()


def test_work_is_given_up_and_errors_in_sentences_do_not_catch_it():
    def work():
        try:
            check_stop()
        except Exception:  # noqa: BLE001 - what code that explains errors does
            pytest.fail("a stop was taken for an error")

    with stoppable(lambda: True), pytest.raises(StoppedError):
        work()
    check_stop()


def test_the_innermost_who_is_named_is_asked():
    with stoppable(lambda: True):
        with stoppable(lambda: False):
            check_stop()
        with stoppable(None), pytest.raises(StoppedError):
            check_stop()


def test_threads_that_help_can_be_stopped_too():
    stop, begun = threading.Event(), threading.Event()

    def work(number):
        begun.set()
        while True:
            check_stop()

    threading.Thread(target=lambda: (begun.wait(), stop.set())).start()
    with stoppable(stop.is_set), pytest.raises(StoppedError):
        map_in_threads(work, range(5), 2)
    assert map_in_threads(lambda n: n + 1, range(5), 2) == [1, 2, 3, 4, 5]
