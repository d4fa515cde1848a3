"""Pixels of an area that are coupled to those beside them."""

from __future__ import annotations
