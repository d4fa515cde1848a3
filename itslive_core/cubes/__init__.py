"""Reading datacubes: stores, schema, blocks of pixels, the table of pairs."""

from __future__ import annotations
