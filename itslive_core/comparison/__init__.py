"""A series held against a reference: what was measured on the ice, or by others."""

from __future__ import annotations
