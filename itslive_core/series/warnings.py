"""The quality of a series, or of an area, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from itslive_core.series.quality import FLAGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["QUALITY_WORDS", "count_pixels", "words_of", "warnings_of", "warnings_of_area"]

QUALITY_WORDS: tuple[str, ...] = (
    "rests on fewer than 3 image pairs",
    "one mission only",
    "image pairs disagree",
    "flow reversed",
    "not clear of noise",
    "no image pair",
)
"""What each of `FLAGS` says of a cell, in a few words."""

_SENTENCES: tuple[str, ...] = (
    "{cells} rest{s} on fewer than 3 image pairs{when}.",
    "One mission alone sees {cells}{when}.",
    "The image pairs disagree by more than their noise explains in {cells}{when}.",
    "The flow is reversed against its median direction in {cells}{when}.",
    "The speed is not clear of noise in {cells}{when}.",
    "No image pair overlaps {cells}{when}: what they show is filled in.",
)
_AREA_SENTENCES: tuple[str, ...] = (
    "In {pixels} some cells rest on fewer than 3 image pairs.",
    "In {pixels} some cells rest on image pairs of one mission only.",
    "In {pixels} the image pairs of some cells disagree by more than their noise explains.",
    "In {pixels} some cells flow against the median direction.",
    "In {pixels} the speed of some cells is not clear of noise.",
    "In {pixels} some cells are overlapped by no image pair: their values are filled in.",
)


def warnings_of(quality: NDArray[np.integer], known: NDArray[np.bool_], times: NDArray[np.datetime64]) -> str:
    """Say in sentences, one a line, what a series should not be trusted for; empty if there is nothing.

    Parameters
    ----------
    quality : ndarray of int, shape (M,)
        The variable ``quality``.
    known : ndarray of bool, shape (M,)
        Cells with a value; the others count for nothing.
    times : ndarray of datetime64, shape (M,)
        Centres of the cells.
    """
    total, lines = int(known.sum()), []
    for bit, sentence in enumerate(_SENTENCES):
        here = known & _has(quality, bit)
        n = int(here.sum())
        if n == 0:
            continue
        if n == total:
            cells, when = f"all {total:,} cells", ""
        else:
            first, last = np.datetime_as_string(times[here][[0, -1]].astype("datetime64[M]"))
            cells = f"{n:,} of {total:,} cells"
            when = f" ({first})" if first == last else f" ({first} to {last})"
        line = sentence.format(cells=cells, when=when, s="s" if n == 1 else "")
        lines.append(line[0].upper() + line[1:])
    return "\n".join(lines)


def count_pixels(quality: NDArray[np.integer], known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count the pixels of an area in which each flag is set in some cell.

    Parameters
    ----------
    quality : ndarray of int, shape (M, ...)
    known : ndarray of bool, shape (M, ...)
        Cells with a value.

    Returns
    -------
    ndarray of int64, shape (1 + flags,)
        Pixels with any value, then those with each of `FLAGS`.
    """
    some = [known, *(known & _has(quality, bit) for bit in range(len(FLAGS)))]
    return np.array([int(one.any(axis=0).sum()) for one in some], dtype=np.int64)


def warnings_of_area(counts: Sequence[int] | NDArray[np.int64]) -> str:
    """Say in sentences, one a line, in how many pixels there is something to be careful with.

    Parameters
    ----------
    counts : sequence of int
        From `count_pixels`, summed over the blocks of an area.
    """
    total, *by_flag = (int(n) for n in counts)
    return "\n".join(
        sentence.format(pixels=f"{n:,} of {total:,} pixels")
        for sentence, n in zip(_AREA_SENTENCES, by_flag, strict=True)
        if n
    )


def words_of(quality: NDArray[np.integer]) -> list[str]:
    """Say of each cell, shape (M,), what its flags mean, in a few words; empty where there is none."""
    flags, which = np.unique(quality, return_inverse=True)
    words = [
        ", ".join(text for bit, text in enumerate(QUALITY_WORDS) if flag >> bit & 1)
        for flag in flags.tolist()
    ]
    return [words[i] for i in which.tolist()]


def _has(quality: NDArray[np.integer], bit: int) -> NDArray[np.bool_]:
    """Tell where a flag is set."""
    found: NDArray[np.bool_] = (quality >> bit & 1).astype(bool)
    return found
