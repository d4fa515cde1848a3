"""A reference that a series is held against, as it is drawn and told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core import Comparison
    from itslive_core.comparison.reference import Reference

__all__ = ["Held", "columns_of_reference", "words_of_reference"]


@dataclass(frozen=True, eq=False)
class Held:
    """A reference, and what was found where a series is held against it.

    Parameters
    ----------
    name : str
        Of its file.
    reference : Reference
    comparison : Comparison or None
    problem : str
        Why there is no comparison.
    """

    name: str
    reference: Reference
    comparison: Comparison | None = None
    problem: str = ""


def columns_of_reference(reference: Reference | None, component: str) -> dict[str, NDArray[np.float64]]:
    """Return the columns that a reference is drawn from; empty where it has no such component.

    Returns
    -------
    dict of ndarray, shape (n,)
        ``start``, ``middle`` and ``end`` [ms since 1970]; ``value`` [m/yr].
    """
    values = {} if reference is None else dict(reference.values)
    if "v" not in values and {"vx", "vy"} <= values.keys():
        values["v"] = np.hypot(values["vx"], values["vy"])
    if reference is None or component not in values:
        return {name: np.empty(0) for name in ("start", "middle", "end", "value")}
    start, end = reference.start * 86.4e6, reference.end * 86.4e6
    return {"start": start, "middle": 0.5 * (start + end), "end": end, "value": values[component]}


def words_of_reference(held: Held | None, component: str) -> list[tuple[str, str]]:
    """Say how far a series is from its reference: names and numbers, in the order of a list."""
    if held is None or held.comparison is None:
        return []
    found = held.comparison
    one = found if component == "v" else found.components.get(component)
    if one is None:
        return [(component, "not in the reference")]
    skipped = [("Rows left out", f"{len(found.problems):,}")] if found.problems else []
    return [
        ("Windows", f"{one.n:,}"),
        ("Bias", f"{one.bias:+,.1f} m/yr".replace("-", "−")),
        ("RMSE", f"{one.rmse:,.1f} m/yr"),
        ("MAE", f"{one.mae:,.1f} m/yr"),
        *skipped,
    ]
