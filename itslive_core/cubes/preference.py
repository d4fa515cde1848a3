"""Which of several cubes that hold the same pixel is used: never a matter of the order of their names."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from itslive_core.cubes.datacube import Datacube

__all__ = ["in_order_of_preference", "words_of_choice"]

_FORMS = ("%d-%b-%Y %H:%M:%S", "%d-%b-%Y", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d")


def in_order_of_preference(cubes: Iterable[Datacube]) -> tuple[Datacube, ...]:
    """Put cubes in the order in which they are used where several hold a pixel.

    The one that was updated last comes first; of equals the one with more image pairs; of these the one whose
    name comes first. Who does not say when it was updated comes last.
    """
    return tuple(sorted(cubes, key=lambda cube: (-_updated(cube.date_updated), -cube.n_pairs, cube.url)))


def words_of_choice(cubes: tuple[Datacube, ...]) -> str:
    """Say which of cubes in order of preference is used, and why."""
    first, second = cubes[:2]
    if _updated(first.date_updated) != _updated(second.date_updated):
        why = f"it was updated last, {first.date_updated}"
    elif first.n_pairs != second.n_pairs:
        why = f"it has most image pairs, {first.n_pairs:,}"
    else:
        why = "its name comes first, and they are of one date and size"
    return f"{first.url} is used, because {why}"


def _updated(text: str | None) -> float:
    """Give the moment that a cube names [s]; minus infinity where it names none."""
    for form in _FORMS:
        try:
            plain = (text or "").strip().removesuffix("Z").partition(".")[0]
            return datetime.strptime(plain, form).replace(tzinfo=UTC).timestamp()
        except (ValueError, OverflowError):
            continue
    return float("-inf")
