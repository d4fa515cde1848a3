"""What to be careful with: sentences under a line that opens them."""

from __future__ import annotations

from html import escape

__all__ = ["cautions_html"]


def cautions_html(sentences: list[str]) -> str:
    """Write sentences as a list that is closed at first, so that it takes one line; empty without any."""
    if not sentences:
        return ""
    things = "1 thing" if len(sentences) == 1 else f"{len(sentences)} things"
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<details><summary>{things} to be careful with</summary><ul>{items}</ul></details>"
