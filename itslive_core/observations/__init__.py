"""What was measured: image pairs, their missions and selection, time cells and spans, weights, blocks."""

from __future__ import annotations
