"""How two records of `benchmarks/record.py` differ, case by case and bit by bit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Difference:
    """How two arrays differ.

    Parameters
    ----------
    number : int
        Values that differ.
    absolute, relative : float
        Largest difference, and its ratio to the largest absolute value; infinite where no number says it.
    """

    number: int
    absolute: float
    relative: float


_NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")


def compare_arrays(one: NDArray[Any], other: NDArray[Any]) -> Difference | None:
    """Compare bit by bit, NaN being equal to NaN; None if all is the same."""
    if one.shape != other.shape or one.dtype.kind != other.dtype.kind:
        return Difference(max(one.size, other.size), np.inf, np.inf)
    if one.dtype.kind == "U":
        return compare_texts(one, other)
    if one.dtype != other.dtype:
        return Difference(one.size, np.inf, np.inf)
    one, other = np.atleast_1d(one), np.atleast_1d(other)
    differs = one.view(f"u{one.itemsize}") != other.view(f"u{one.itemsize}")
    if one.dtype.kind in "Mm":
        one, other = one.view("i8"), other.view("i8")
    elif one.dtype.kind == "f":
        differs &= ~(np.isnan(one) & np.isnan(other))
    if not differs.any():
        return None
    found = measure(one, other, int(differs.sum()))
    # No tolerance for counts and dates.
    return found if one.dtype.kind == "f" else Difference(found.number, found.absolute, np.inf)


def measure(one: NDArray[Any], other: NDArray[Any], number: int) -> Difference:
    """Give the largest difference of two arrays of numbers."""
    a, b = one.astype(np.float64), other.astype(np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    largest = float(np.max(np.where(np.isnan(apart), np.inf, apart), initial=0.0))
    scale = float(np.max(np.abs(a), where=np.isfinite(a), initial=0.0))
    if largest == 0.0:
        return Difference(number, 0.0, 0.0)  # 0 and -0
    return Difference(number, largest, largest / scale if scale > 0 else np.inf)


def compare_texts(one: NDArray[np.str_], other: NDArray[np.str_]) -> Difference | None:
    """Compare texts; where they differ in numbers only, say by how much."""
    differs = np.atleast_1d(one != other)
    if not differs.any():
        return None
    number, absolute, relative = int(differs.sum()), 0.0, 0.0
    for a, b in zip(np.atleast_1d(one)[differs].tolist(), np.atleast_1d(other)[differs].tolist()):
        if _NUMBER.sub("#", a) != _NUMBER.sub("#", b):
            return Difference(number, np.inf, np.inf)
        found = measure(numbers_of(a), numbers_of(b), 1)
        absolute, relative = max(absolute, found.absolute), max(relative, found.relative)
    return Difference(number, absolute, relative)


def numbers_of(text: str) -> NDArray[np.float64]:
    """Read all numbers of a text."""
    return np.array([float(each) for each in _NUMBER.findall(text)])


def compare(before: Path, after: Path, only: str, tolerance: float) -> bool:
    """Print how two records differ, case by case; true if they do."""
    with np.load(before) as one, np.load(after) as other:
        names = list(dict.fromkeys([*one.files, *other.files]))
        by_case: dict[str, list[str]] = {}
        for name in names:
            by_case.setdefault(name.partition("/")[0], []).append(name)
        both, failed = set(one.files) & set(other.files), False
        for case, members in by_case.items():
            if only not in case:
                continue
            lost = [name for name in members if name not in both]
            found = {
                name: difference
                for name in members
                if name not in lost and (difference := compare_arrays(one[name], other[name]))
            }
            small = tolerance > 0 and all(each.relative <= tolerance for each in found.values())
            bad = bool(lost) or (bool(found) and not small)
            failed |= bad
            print(f"{case:40} {verdict(len(members), lost, found, one.files, bad=bad)}")
    return failed


def verdict(
    total: int, lost: list[str], found: dict[str, Difference], before: list[str], *, bad: bool
) -> str:
    """Put what was found for a case into words."""
    if not lost and not found:
        return f"identical ({total} arrays)"
    words = []
    if found:
        worst = max(found, key=lambda name: found[name].relative)
        words.append(
            f"{len(found)} of {total} arrays differ in {sum(each.number for each in found.values())} values;"
            f" largest: {max(each.absolute for each in found.values()):.3g} absolute,"
            f" {found[worst].relative:.3g} relative, in {worst.partition('/')[2]}"
        )
    for names, record_name in (
        ([name for name in lost if name in before], "before"),
        ([name for name in lost if name not in before], "after"),
    ):
        if names:
            words.append(f"{len(names)} arrays only {record_name}, e.g. {names[0].partition('/')[2]}")
    return ("DIFFERS: " if bad else "within the tolerance: ") + "; ".join(words)
