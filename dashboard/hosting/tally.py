"""What happened, in numbers: counters and times for whoever watches a server."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Tally", "exposition"]

_BOUNDS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Upper bounds of the buckets of times [s]."""


class Tally:
    """Counts, and how long things took; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self._buckets: dict[str, list[int]] = defaultdict(lambda: [0] * (len(_BOUNDS) + 1))
        self._sums: Counter[str] = Counter()

    def count(self, name: str) -> None:
        """Count one more."""
        with self._lock:
            self.counts[name] += 1

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Count something, and how long it takes."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.took(name, time.monotonic() - began)

    def took(self, name: str, seconds: float) -> None:
        """Note how long something took [s]."""
        with self._lock:
            self._buckets[name][bisect_left(_BOUNDS, seconds)] += 1
            self._sums[name] += seconds  # type: ignore[assignment]

    def lines(self) -> list[str]:
        """Give all in the text format of Prometheus."""
        with self._lock:
            counts, sums = dict(self.counts), dict(self._sums)
            buckets = {name: list(values) for name, values in self._buckets.items()}
        out = []
        for name, value in sorted(counts.items()):
            out += [f"# TYPE itslive_{name}_total counter", f"itslive_{name}_total {value}"]
        if buckets:
            out.append("# TYPE itslive_job_seconds histogram")
        for name, values in sorted(buckets.items()):
            label, below = f'lane="{name}"', 0
            for bound, value in zip((*map(str, _BOUNDS), "+Inf"), values, strict=True):
                below += value
                out.append(f'itslive_job_seconds_bucket{{{label},le="{bound}"}} {below}')
            out.append(f"itslive_job_seconds_sum{{{label}}} {sums[name]:.6g}")
            out.append(f"itslive_job_seconds_count{{{label}}} {below}")
        return out


def exposition(gauges: Mapping[str, float], tally: Tally) -> str:
    """Write gauges and a tally in the text format of Prometheus (version 0.0.4).

    Parameters
    ----------
    gauges : mapping
        Values of now by name, without the prefix ``itslive_``.
    tally : Tally
    """
    lines = [
        line
        for name, value in gauges.items()
        for line in (f"# TYPE itslive_{name} gauge", f"itslive_{name} {value:.10g}")
    ]
    return "\n".join([*lines, *tally.lines()]) + "\n"
