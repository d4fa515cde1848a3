"""What is said to be going on, while several things are."""

from __future__ import annotations

from dashboard.control.session import Session
from dashboard.runner import JobRunner
from dashboard.state.progress import Progress


def test_the_newest_of_what_is_done_is_told_and_the_others_come_back():
    session = Session(JobRunner())
    read = session.begin("Reading", "read")
    session.begin("Fitting", "fit")
    assert session.messages.activity == "Fitting"
    session.say("Reading 2 of 3", "read")
    session.end("fit")
    assert session.messages.activity == "Reading 2 of 3"
    read(False)
    assert session.messages.activity == ""
    session.say("too late", "read")
    assert session.messages.activity == ""


def test_the_end_of_an_older_job_of_a_lane_does_not_end_the_newer_one():
    session = Session(JobRunner())
    first = session.begin("First", "fit")
    second = session.begin("Second", "fit")
    first(True)
    assert session.messages.activity == "Second"
    second(False)
    assert session.messages.activity == ""


def test_stopping_is_told_until_it_has_stopped():
    progress = Progress()
    progress.stop()
    assert not progress.stopping, "nothing runs"
    progress.start()
    progress.step(1, 4)
    assert progress.text.startswith("25 %")
    progress.stop()
    progress.step(2, 4)
    assert progress.text == "Stopping …"
    progress.finish("Stopped: 12 pixels")
    assert (progress.running, progress.stopping, progress.text) == (False, False, "Stopped: 12 pixels")
