"""The same inversion, batched in torch for a GPU."""

from __future__ import annotations
