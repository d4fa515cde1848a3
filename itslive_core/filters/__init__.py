"""What is left out: pairs that lock, wild ones, and limits that a person sets."""

from __future__ import annotations
