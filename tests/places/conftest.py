"""What all tests of places share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    """Neither a refreshed catalog of another test nor the user's settings decide a lookup."""
    monkeypatch.setenv("ITSLIVE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ITSLIVE_CATALOG", raising=False)
