"""Two sessions on one server share nothing."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import panel as pn
import pytest

pytest.importorskip("panel.tests.util")
from panel.tests.util import serve_and_request
from panel.util import edit_readonly

from dashboard.application import Dashboard
from dashboard.extension import prepare


@pytest.fixture(autouse=True)
def clean_panel():
    yield
    pn.state.kill_all_servers()
    pn.state.reset()


def test_each_request_gets_a_dashboard_of_its_own():
    made = []

    def app():
        prepare()
        board = Dashboard()
        made.append(board)
        board.session.settings.log_smoothing = float(len(made))
        return board.page()

    # On a thread of its own: a browser test of the same run may have left a loop on this one.
    with ThreadPoolExecutor(1) as pool:
        for response in pool.submit(serve_and_request, app, n=2).result(60):
            assert response.status_code == 200
    one, two = made[:2]
    assert one.session is not two.session
    assert one.session.settings.log_smoothing != two.session.settings.log_smoothing
    assert one.session.selection.param is not two.session.selection.param


def test_what_is_done_in_one_session_is_not_told_to_the_pages_of_others():
    followers = len(pn.state.param.watchers.get("busy", {}).get("value", []))
    prepare()
    page = Dashboard().page()
    assert len(pn.state.param.watchers["busy"]["value"]) == max(followers, 1)
    with edit_readonly(pn.state):
        pn.state.busy = True
    assert not page.busy


def test_a_server_gives_matrices_one_thread():
    code = (
        "from dashboard.resources import one_thread_of_algebra; one_thread_of_algebra();"
        "from threadpoolctl import threadpool_info;"
        "print({lib['num_threads'] for lib in threadpool_info() if lib['user_api'] == 'blas'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{1}"
