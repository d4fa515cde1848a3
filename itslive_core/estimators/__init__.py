"""Estimators: from image pairs to a regular series."""

from __future__ import annotations

from itslive_core.estimators.settings import PRESETS, InversionSettings

__all__ = ["PRESETS", "InversionSettings"]
