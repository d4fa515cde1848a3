"""A server ends when it is told to, whatever still works, and stops all work before."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from dashboard.hosting.host import Host
from dashboard.runner import JobRunner
from itslive_core.support.stopping import check_stop
from tests.waiting import seconds, until

SERVER = """
import threading, time
import panel as pn
from dashboard.hosting import life
from dashboard.hosting.host import Host

life.PATIENCE = 0.5
host = Host()

class Guest:
    document, working = None, 1
    def close(self):
        print("closed", flush=True)

guest = Guest()
host.welcome(guest)
server = pn.serve({"/": lambda: "ice"}, address="localhost", port=0, show=False, start=False, verbose=False)
threading.Thread(target=time.sleep, args=(10_000,)).start()  # hangs, and would keep the process
server.io_loop.call_later(0, lambda: print("ready", flush=True))
life.run(server, host)
print("left", flush=True)
"""


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_work_and_the_process(name):
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(name)
            assert process.stdout.read().split()[:2] == ["closed", "left"]
            assert process.wait(seconds(30)) == 0
        finally:
            process.kill()


def test_work_of_a_session_that_is_gone_ends_inside_of_a_block():
    runner, begun, ended = JobRunner(), threading.Event(), threading.Event()

    def work(_should_stop):
        try:
            while True:  # deep inside of an estimate
                begun.set()
                check_stop()
        finally:
            ended.set()
        yield

    runner.submit("glacier", work, print, pytest.fail)
    assert begun.wait(seconds(10))
    assert runner.working == 1
    runner.close()
    assert ended.wait(seconds(10))
    until(lambda: runner.working == 0)


def test_the_end_of_the_main_thread_ends_the_work_of_a_notebook_or_script():
    code = """
import threading
from dashboard.hosting.host import Host
host, stop = Host(), threading.Event()

class Guest:
    document, working = None, 1
    def close(self):
        stop.set()

guest = Guest()
host.welcome(guest)
host.stop_with_process()
threading.Thread(target=stop.wait).start()
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=seconds(60), check=False).returncode == 0


def test_a_host_forgets_guests_that_nobody_else_holds():
    class Guest:
        document, working = None, 0

    host, guest = Host(), Guest()
    host.welcome(guest)
    assert host.guests == [guest]
    del guest
    assert host.guests == []
