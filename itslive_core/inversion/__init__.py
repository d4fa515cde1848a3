"""Regularised least squares, from image pairs to a series with its error bars."""

from __future__ import annotations
