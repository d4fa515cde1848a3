"""What the demo is made of: terrain, true velocity, what satellites would see of it, files on disk."""

from __future__ import annotations
