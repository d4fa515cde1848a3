"""What is told of a point above its series: the facts in one line, and what to be careful with."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dashboard.state.headline import Fact

__all__ = ["cautions_html", "facts_html"]


def cautions_html(sentences: list[str]) -> str:
    """Write sentences as a list that is closed at first, so that it takes one line; empty without any."""
    if not sentences:
        return ""
    things = "1 thing" if len(sentences) == 1 else f"{len(sentences)} things"
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<details><summary>{things} to be careful with</summary><ul>{items}</ul></details>"


def facts_html(facts: list[Fact]) -> str:
    """Write facts in one line; what cannot be told from noise stands back. Empty without any."""
    if not facts:
        return ""
    faint = " class='faint'"
    items = "".join(
        f"<div title='{escape(fact.note, quote=True)}'{'' if fact.clear else faint}>"
        f"<dt>{escape(fact.name)}</dt><dd>{escape(fact.text)}</dd></div>"
        for fact in facts
    )
    return f"<dl>{items}</dl>"
