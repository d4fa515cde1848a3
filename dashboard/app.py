"""What `panel serve dashboard/app.py` serves."""

from __future__ import annotations

import sys
from pathlib import Path

# `panel serve` puts this file's folder on the path, not the one that holds the packages.
_ROOT = str(Path(__file__).resolve().parents[1])
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

from dashboard.application import Dashboard  # noqa: E402 - needs the path above
from dashboard.extension import prepare  # noqa: E402 - needs the path above
from dashboard.resources import one_thread_of_algebra  # noqa: E402 - needs the path above

one_thread_of_algebra()
prepare(refresh=True)
Dashboard().servable()
