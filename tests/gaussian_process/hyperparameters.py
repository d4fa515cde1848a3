"""Hyperparameters of an ordinary glacier, for tests of the solvers."""

from __future__ import annotations

__all__ = ["VALUES"]

VALUES = {
    "trend_scale": 1.0,
    "trend_time": 3.0,
    "season_scale": 0.6,
    "season_shape": 1.0,
    "season_memory": 6.0,
    "roughness_scale": 0.4,
    "roughness_time": 0.15,
    "rounding_time": 0.05,
    "shared_noise": 0.3,
}
