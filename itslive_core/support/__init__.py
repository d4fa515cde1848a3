"""What knows nothing of glaciers: caches, downloads, devices, compiled kernels."""

from __future__ import annotations
