"""What a session held is free once it is gone, and a session that is open loses nothing to one that goes."""

from __future__ import annotations

import gc
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import holoviews as hv
import panel as pn
import pytest
from bokeh.client import pull_session

from dashboard.application import Dashboard
from dashboard.extension import prepare
from tests.waiting import until


@pytest.fixture
def boards():
    """Dashboards in the order of their sessions; a server that forgets sessions at once; its address."""
    made = []

    def app():
        prepare()
        board = Dashboard()
        page = board.page()
        made.append((weakref.ref(board), weakref.ref(pn.state.curdoc)))
        return page

    pn.serve(
        {"/": app},
        port=0,
        address="localhost",
        show=False,
        threaded=True,
        verbose=False,
        unused_session_lifetime_milliseconds=1,
        check_unused_sessions_milliseconds=50,
    )
    until(lambda: pn.state._servers, usual=20)
    port = next(iter(pn.state._servers.values()))[0].port
    yield made, f"http://localhost:{port}/"
    pn.state.kill_all_servers()
    pn.state.reset()


def used(board, document) -> None:
    """Choose a glacier and a pixel in a session, and wait for the series; keeps nothing of it."""

    def choose():
        here = board().session.selection.known[0].outline.representative_point()
        board().places.search(f"{here.y}, {here.x}")

    # The browser would say that the page is up.
    document().add_next_tick_callback(lambda: pn.state._schedule_on_load(document(), None))
    until(lambda: board().session.selection.known, usual=60)
    document().add_next_tick_callback(choose)
    until(lambda: board().series.fit is not None and board().series.fit.series is not None, usual=90)


def test_sessions_that_are_gone_are_forgotten_and_the_open_one_goes_on(boards):
    made, address = boards

    def visit(stay=False):
        session = pull_session(url=address)
        used(*made[-1])
        if stay:
            return session
        session.close()
        return None

    def alive():
        gc.collect()
        return [[one() is not None for one in pair] for pair in made]

    def gone(number):
        """Wait until the server has discarded a session, and look no more often than it can bear."""
        board = made[number][0]
        until(lambda: (found := board()) is None or found.session.runner._closed, usual=30)
        until(lambda: not alive()[number][0], usual=30, between=lambda: time.sleep(0.5), what=alive)

    # On a thread of its own: a browser test of the same run may have left a loop on this one.
    with ThreadPoolExecutor(1) as pool:
        session = pool.submit(visit, stay=True).result()
        pool.submit(visit).result()
        # The contexts of timers on the loop may keep the document that came last, without its dashboard.
        gone(1)
        board, document = made[0]
        before = board().series.fit.series
        document().add_next_tick_callback(
            lambda: board().session.settings.param.update(auto_smoothing=False, log_smoothing=3.0)
        )
        until(lambda: board().series.fit.series is not before, usual=30)
        options = len(hv.Store._custom_options["bokeh"])
        pool.submit(session.close).result()
        gone(0)
        assert len(hv.Store._custom_options["bokeh"]) < options
