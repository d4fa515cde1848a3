"""The version of this package, for whoever must name it without importing the rest."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
