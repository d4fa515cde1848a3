"""Positions as people write them."""

from __future__ import annotations

import pytest

from dashboard.control.places import parse_position
from itslive_core.errors import SelectionError


def test_positions_are_read_as_people_write_them():
    assert parse_position("69.3, -50.1") == (-50.1, 69.3)
    assert parse_position("69.3 N, 50.1 W") == (-50.1, 69.3)
    assert parse_position("-30 200") == (-160.0, -30.0)
    assert parse_position("Aletsch") is None
    with pytest.raises(SelectionError, match="no place on Earth"):
        parse_position("95, 10")
