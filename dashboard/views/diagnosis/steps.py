"""What every filter left, from all pairs of the pixel to those that count."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from dashboard.colours import ACCENT, step_colour, step_label
from dashboard.views.diagnosis.section import Section
from dashboard.views.parts import html
from dashboard.views.rejected import NO_WEIGHT, step_of

if TYPE_CHECKING:
    from dashboard.views.diagnosis.section import Look, Shared
    from itslive_core import Diagnosis

__all__ = ["StepsSection", "funnel_html", "funnel_rows"]

_READING = {"read", "components", "valid_dates"}


def funnel_rows(diagnosis: Diagnosis) -> list[tuple[str, int, int, str]]:
    """Return what is listed: name of the step, pairs kept and removed, why.

    Steps of reading that took nothing are left out; what was never a value at this pixel is no loss.
    """
    rows: list[tuple[str, int, int, str]] = []
    for name, kept, removed, note in diagnosis.steps.itertuples(index=False):
        if name == "read":
            rows.append((name, int(kept), 0, "pairs with a value at this pixel"))
        elif name not in _READING or removed:
            rows.append((name, int(kept), int(removed), str(note)))
    silent = int((step_of(diagnosis.pairs) == NO_WEIGHT).sum())
    if silent:
        left = int((diagnosis.pairs["rejected_by"] == "").sum())
        why = "so far from the estimate that the robust fit gives them less than 1 % of a weight"
        rows.append((NO_WEIGHT, left - silent, silent, why))
    return rows


def funnel_html(diagnosis: Diagnosis | None) -> str:
    """Write the steps as a list of bars with counts and reasons."""
    if diagnosis is None:
        return ""
    rows = funnel_rows(diagnosis)
    total = max((kept + removed for _, kept, removed, _ in rows), default=0)
    items = []
    for name, kept, removed, note in rows:
        share, lost = (100.0 * count / max(total, 1) for count in (kept, removed))
        taken = f"<b>−{removed:,}</b>" if removed else ""
        head = f"<span>{escape(step_label(name))}</span><span>{taken} {kept:,}</span>"
        bar = (
            f"<i style='width:{share:.2f}%;background:{ACCENT}'></i>"
            f"<i style='width:{lost:.2f}%;background:{step_colour(name)}'></i>"
        )
        items.append(
            f"<li><div class='head'>{head}</div><div class='bar'>{bar}</div><p>{escape(note)}</p></li>"
        )
    return f"<ol class='itslive-funnel'>{''.join(items)}</ol>"


class StepsSection(Section):
    """The list of steps."""

    title = "Pairs left by each step"

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self.funnel = html("", "itslive-funnel-pane", sizing_mode="stretch_width", margin=0)

    def contents(self) -> list[Any]:
        """Return the list."""
        return [self.funnel]

    def show(self, look: Look) -> None:
        """Write the list anew."""
        self.funnel.object = funnel_html(look.diagnosis)
