"""Write docs/how-we-know-it-is-right.md: the text of `page_template.md`, with the tables filled in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Table", "write_page"]


@dataclass(frozen=True)
class Table:
    """A table of text; or a line that says why there is none.

    Parameters
    ----------
    header : sequence of str
    rows : sequence of sequences of str
    note : str
        Below it.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def markdown(self) -> str:
        """Write it as Markdown."""
        lines = []
        if self.header:
            lines = [self.header, ["---"] * len(self.header), *self.rows]
        text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return "\n\n".join(part for part in (text, self.note) if part)


_TEMPLATE = Path(__file__).with_name("page_template.md")


def write_page(path: Path, tables: Mapping[str, Table], facts: Mapping[str, str]) -> None:
    """Fill tables and facts into the page.

    Parameters
    ----------
    path : Path
    tables : mapping of str to Table
    facts : mapping of str to str
        Short texts: pixel, pairs, command.
    """
    text = _TEMPLATE.read_text(encoding="utf-8")
    filled = text.format(**{name: table.markdown() for name, table in tables.items()}, **facts)
    path.write_text(filled, encoding="utf-8")
