"""Settings: validated, immutable, and the same after a round trip."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from itslive_core import InversionSettings
from itslive_core.errors import SettingsError
from itslive_core.inversion.settings import PRESETS


def test_defaults_are_the_recommended_ones() -> None:
    assert InversionSettings().to_dict() == {
        "smoothing": "auto",
        "derivative": 2,
        "interval": 12.0,
        "weights": "error",
        "robust": True,
        "outliers": "auto",
        "uncertainty": True,
        "spatial_smoothing": 0.0,
        "device": "auto",
        "noise": "auto",
        "offsets": "auto",
        "smoothing_in_time": "auto",
        "learn": "block",
    }
    assert InversionSettings.preset("recommended") == InversionSettings()


def test_itslive_tool_preset() -> None:
    tool = InversionSettings.preset("itslive-tool")
    assert (tool.smoothing, tool.weights, tool.robust, tool.outliers) == (10.0, "none", False, "none")
    assert set(PRESETS) == {"recommended", "slow glacier", "ice sheet", "itslive-tool"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"smoothing": 0}, "smoothing is 0"),
        ({"smoothing": -3.0}, "smoothing is -3"),
        ({"smoothing": np.nan}, "smoothing is nan"),
        ({"smoothing": "smooth"}, "'smooth' is not known"),
        ({"derivative": 3}, "choose 1 .* or 2"),
        ({"derivative": True}, "choose 1 .* or 2"),
        ({"interval": 0}, "interval is 0"),
        ({"interval": "monthly"}, "interval is 'monthly'"),
        ({"interval": np.inf}, "interval is inf"),
        ({"weights": "heavy"}, "choose from none, span, error"),
        ({"outliers": "mad"}, "choose from none, auto"),
        ({"robust": 1}, "robust is 1"),
        ({"device": "tpu"}, "choose from auto, cpu, cuda"),
        ({"spatial_smoothing": -1.0}, "spatial_smoothing is -1.*or 'auto'"),
        ({"spatial_smoothing": "gcv"}, "spatial_smoothing is 'gcv'"),
        ({"spatial_smoothing": np.inf}, "spatial_smoothing is inf"),
    ],
)
def test_impossible_settings_say_what_is_possible(changes: dict, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        InversionSettings(**changes)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        InversionSettings().interval = 5.0  # type: ignore[misc]


def test_json_round_trip() -> None:
    settings = InversionSettings(smoothing=30, derivative=1, interval=6, weights="span", robust=False)
    assert InversionSettings.from_json(settings.to_json()) == settings
    for coupling in (0.2, "auto"):
        settings = InversionSettings(spatial_smoothing=coupling)
        assert InversionSettings.from_json(settings.to_json()) == settings
        assert settings.couples_pixels
    assert InversionSettings.from_json("{}") == InversionSettings()


@pytest.mark.parametrize("text", ["{", "[1]", '{"lambda": 3}', '{"interval": "x"}'])
def test_bad_json_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        InversionSettings.from_json(text)


def test_unknown_preset_is_refused() -> None:
    with pytest.raises(SettingsError, match="recommended, slow glacier, ice sheet, itslive-tool"):
        InversionSettings.preset("fast")
