"""Where: the catalog of cubes, glaciers and their outlines, centrelines, geodesy."""

from __future__ import annotations
