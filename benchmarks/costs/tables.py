"""Tables of docs/how-fast.md from the figures that were measured, and the page with them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from validation.page import Table

from costs.clock import exponent
from costs.jobs import SPEED_UP_JOBS
from costs.others import PUBLISHED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["TABLES", "fill"]

Figures = dict[str, Any]
"""What a part has measured, as it is kept: ``costs`` or ``jobs``, ``missing``, ``when``."""

_PUBLISHED_SIZES = (10**4, 10**5, 10**6)
_OUTSIDE = ("celerite2", "scikit-learn", "TICOI")


def _time(seconds: float) -> str:
    """Write seconds with three digits."""
    return f"{1e3 * seconds:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def _medians(took: Mapping[str, Sequence[float]]) -> dict[int, float]:
    """Give the median of all rounds by size; kept figures have text for keys."""
    return {int(size): float(np.median(rounds)) for size, rounds in took.items()}


def _growth(took: Mapping[int, float], since: int = 0) -> str:
    """Write the exponent of a power law of the sizes from `since` on."""
    sizes = [size for size in took if size >= since]
    p = exponent(sizes, [took[size] for size in sizes])
    return f"{p:.2f}" if np.isfinite(p) else "-"


def _grown(figures: Figures, sizes: Sequence[int], words: str) -> Table:
    """Make a table of costs by size, with the fitted exponent."""
    rows = []
    for name, took in figures["costs"].items():
        known = _medians(took)
        cells = [_time(known[size]) if size in known else "-" for size in sizes]
        rows.append([name, *cells, _growth(known)])
    return Table(["CPU time", *(words.format(size) for size in sizes), "exponent"], rows, figures["when"])


def _sizes(figures: Figures) -> list[int]:
    return sorted({int(size) for took in figures["costs"].values() for size in took})


def _rows(figures: Figures) -> Table:
    """Make the table of rows: ours, other tools here, other tools as published."""
    sizes = _sizes(figures)
    late = sizes[-2] if len(sizes) > 2 else sizes[0]
    rows = []
    for ours in (True, False):
        for name, took in figures["costs"].items():
            if ours == name.startswith(_OUTSIDE):
                continue
            known = _medians(took)
            cells = [_time(known[size]) if size in known else "-" for size in sizes]
            name = f"**{name}**" if ours else name
            rows.append([name, *cells, _growth(known), _growth(known, late)])
    for name, published in PUBLISHED.items():
        by_size = dict(zip(_PUBLISHED_SIZES, published, strict=True))
        cells = [f"*{by_size[size]}*" if size in by_size else "" for size in sizes]
        rows.append([f"*TemporalDisaggregations.jl {name}, as published*", *cells, "", ""])
    header = ["pairs", *(f"{size:,}" for size in sizes), "exponent", f"from {late:,} on"]
    return Table(header, rows, " ".join([figures["when"], *figures["missing"]]))


def _memory(figures: Figures) -> Table:
    rows = [
        [name, _time(taken["cpu"]), f"{taken['before']:.0f} MB", f"{taken['peak']:.0f} MB"]
        for name, taken in figures["jobs"].items()
    ]
    n = f"{figures['pairs']:,} pairs"
    return Table([n, "CPU time", "libraries, kernels, pairs", "most while it ran"], rows, figures["when"])


def _workers(figures: Figures) -> Table:
    rows = []
    for name in SPEED_UP_JOBS:
        one, two = (np.array(figures["jobs"][name][count]) for count in ("1", "2"))
        ratio = one[:, 0] / two[:, 0]
        cores = two[:, 1] / two[:, 0]
        (wall_1, cpu_1), (wall_2, cpu_2) = np.median(one, axis=0), np.median(two, axis=0)
        rows.append(
            [
                name,
                f"{wall_1:.2f} s ({cpu_1:.2f} CPU s)",
                f"{wall_2:.2f} s ({cpu_2:.2f} CPU s)",
                f"{np.median(ratio):.2f} ({ratio.min():.2f} - {ratio.max():.2f})",
                f"{np.median(cores):.2f}",
            ]
        )
    header = ["job", "one worker", "two workers", "one over two (least - most)", "cores that two had"]
    return Table(header, rows, figures["when"])


def _area(figures: Figures) -> Table:
    rows = []
    for settings, by_count in figures["jobs"].items():
        for count, taken in by_count.items():
            course = taken["told"]["course"]
            rows.append(
                [
                    settings,
                    f"{int(count):,}",
                    f"{taken['cpu']:.1f} s",
                    f"{1e3 * taken['cpu'] / int(count):.2f} ms",
                    f"{taken['wall']:.1f} s",
                    f"{taken['before']:.0f} MB",
                    f"{course[0]:.0f}, {course[len(course) // 2]:.0f}, {course[-1]:.0f} MB",
                    f"{taken['peak']:.0f} MB",
                ]
            )
        cpu = {int(count): taken["cpu"] for count, taken in by_count.items()}
        peak = {int(count): taken["peak"] for count, taken in by_count.items()}
        rows.append([settings, "*exponent*", _growth(cpu), "", "", "", "", _growth(peak)])
    header = [
        "settings",
        "pixels",
        "CPU",
        "CPU a pixel",
        "wall",
        "before",
        "first, middle, last tenth",
        "most",
    ]
    return Table(header, rows, figures["when"])


TABLES: dict[str, Callable[[Figures], Table]] = {
    "rows": _rows,
    "years": lambda figures: _grown(figures, _sizes(figures), "{} years"),
    "pixels": lambda figures: _grown(figures, _sizes(figures), "{} pixels"),
    "memory": _memory,
    "workers": _workers,
    "area": _area,
}
"""By name of the part: what makes its table."""


def fill(page: Path, tables: Mapping[str, Table]) -> None:
    """Put tables into a page, each between its two markers; all else stays.

    Parameters
    ----------
    page : Path
    tables : mapping of Table
        By name; ``<!-- table: NAME -->`` and ``<!-- end -->`` stand around its place.

    Raises
    ------
    ValueError
        If the page has no place for a table.
    """
    text = page.read_text(encoding="utf-8")
    for name, table in tables.items():
        begin, end = f"<!-- table: {name} -->", "<!-- end -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"{page} has no place for the table {name!r}: add the lines {begin} and {end}")
        filled = f"{begin}\n{table.markdown()}\n\n{end}"
        text = pattern.sub(lambda _, filled=filled: filled, text, count=1)
    page.write_text(text, encoding="utf-8")
