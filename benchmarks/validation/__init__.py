"""How we know that the estimates are right: simulated truth, held-out pairs, and other tools beside ours."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # times are those of one thread
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # `truths` and `peers`
