"""What is seen: pure functions from data to elements, and thin viewers that send new data into them."""

from __future__ import annotations

import dashboard.extension  # noqa: F401 - before hvplot, which loads its own extension when it is imported
