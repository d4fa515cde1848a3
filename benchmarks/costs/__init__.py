"""What an estimate costs, beside other tools, and how that grows: the parts of `anchors.py`."""

from __future__ import annotations
