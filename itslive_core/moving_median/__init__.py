"""The weighted median of the pairs in a moving window: the baseline that everybody knows."""

from __future__ import annotations
