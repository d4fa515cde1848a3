"""Season and trend by least squares, of a point and of every pixel of an area."""

from __future__ import annotations
