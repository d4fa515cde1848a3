"""The page: where everything is, and the widgets that choose what is seen."""

from __future__ import annotations
