"""Durations as people read them."""

from __future__ import annotations

from itslive_core.support.durations import clock


def test_time_left_is_readable():
    assert (clock(12), clock(3725)) == ("00:12", "1:02:05")
