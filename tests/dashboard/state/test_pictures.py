"""Scales of fields."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.state.pictures import nice_limit


def test_colour_scale_grows_in_round_steps():
    assert nice_limit(np.array([0.0, 110.0])) == 150.0
    assert nice_limit(np.array([np.nan])) == 10.0
    assert nice_limit(np.array([50.0]), at_least=300.0) == 300.0
    assert nice_limit(np.array([0.034]), smallest=0.01) == pytest.approx(0.04)
