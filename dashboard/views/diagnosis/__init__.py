"""The Diagnostics tab: what the estimate at the active point rests on, one module a picture."""

from __future__ import annotations
