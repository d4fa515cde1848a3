"""The dashboard: from a click on the map to a velocity series. Needs panel; the core does not need it."""

from __future__ import annotations
