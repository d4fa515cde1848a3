"""Noise, offsets and smoothness, learnt at a pixel together with its series."""

from __future__ import annotations
