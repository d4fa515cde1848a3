"""What a visitor of a public server gets for what it may not open: a sentence, and as it was written."""

from __future__ import annotations

import time

import pytest

from dashboard.application import Dashboard
from dashboard.extension import prepare
from dashboard.hosting.host import Host
from dashboard.hosting.rules import PUBLIC
from dashboard.screen.header import as_it_is
from itslive_core.support.reach import HOSTS, VARIABLE
from tests.waiting import until


@pytest.fixture
def board(monkeypatch):
    monkeypatch.setenv(VARIABLE, ",".join(HOSTS))
    prepare()
    board = Dashboard(demo=False, host=Host(PUBLIC))
    yield board
    board.close()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("https://me:tulip@localhost:9/x", "this server reads from"),
        ("/etc/passwd", "by https:// or s3:// only"),
        ("![x](http://h/x.png)", "by https:// or s3:// only"),
    ],
)
def test_what_is_refused_is_said_in_a_sentence(board, path, words):
    messages = board.session.messages
    board.places.open_cube(path)
    assert "tulip" not in messages.activity
    until(lambda: board.session.runner.drain() >= 0 and messages.text, between=lambda: time.sleep(0.01))
    assert words in messages.text
    assert "tulip" not in messages.text
    board.places.load_outlines(path)
    until(lambda: board.session.runner.drain() >= 0 and "reads no paths" in messages.text)


def test_messages_are_no_markdown():
    from markdown_it import MarkdownIt

    said = "![x](http://h/x.png) <img src=y> **a** [b](c) # d https://e.org `f` &amp;"
    shown = MarkdownIt("gfm-like").render(as_it_is(said))
    assert "<img" not in shown
    assert "<a" not in shown
    assert "<strong" not in shown
