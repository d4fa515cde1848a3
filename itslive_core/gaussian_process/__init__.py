"""A Gaussian process that averages over the span of each pair."""

from __future__ import annotations
