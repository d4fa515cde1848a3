"""What a visitor of a public server gets for what it may not open: a sentence, and as it was written."""

from __future__ import annotations

import time

import pytest

from dashboard.application import Dashboard
from dashboard.control.session import Messages
from dashboard.extension import prepare
from dashboard.hosting.host import Host
from dashboard.hosting.rules import PUBLIC
from dashboard.screen.header import MessageBar
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


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("https://me:tulip@localhost:9/x.zarr", "this server reads from"),
        ("/etc/passwd", "by https:// or s3:// only"),
        ("~/own.zarr", "by https:// or s3:// only"),
        ("file:///etc/own.zarr", "by https:// or s3:// only"),
        ("/srv/own/outlines.gpkg", "reads no paths"),
        ("https://example.org/outlines.geojson", "reads no paths"),
    ],
)
def test_the_search_box_opens_no_more(board, typed, words):
    messages = board.session.messages
    board.places.search(typed)
    assert "tulip" not in messages.activity
    until(lambda: board.session.runner.drain() >= 0 and messages.text, between=lambda: time.sleep(0.01))
    assert words in messages.text
    assert "tulip" not in messages.text
    assert messages.activity == ""


def test_examples_of_the_server_are_open_to_all(board):
    board.open_example("synthetic")
    until(lambda: board.session.runner.drain() >= 0 and board.session.selection.cubes)
    assert board.session.messages.severity != "error"
    (cube, *_) = board.session.selection.cubes
    assert board.session.host.open_cube(cube.url) is cube


def test_messages_are_text_and_no_markup():
    messages = Messages()
    alert = MessageBar(messages).alert
    said = "![x](http://h/x.png) <img src=y> **a** [b](c) # d"
    messages.tell(said)
    assert alert.title == said
    assert alert.object == ""
