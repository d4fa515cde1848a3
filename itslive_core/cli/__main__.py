"""``python -m itslive_core.cli`` is the command ``itslive``."""

from __future__ import annotations

from itslive_core.cli import main

main()
