"""Write docs/how-we-know-it-is-right.md: the text of `page_template.md`, with the tables filled in."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["KeptTables", "Table", "write_page"]


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


class KeptTables:
    """Tables in a folder, one file for each part; without a folder nothing is kept.

    Parameters
    ----------
    folder : Path or None
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def load(self, part: str) -> dict[str, Table]:
        """Give the tables of a part; none if they were not made."""
        path = self._path(part)
        if path is None or not path.exists():
            return {}
        return {name: Table(**table) for name, table in json.loads(path.read_text(encoding="utf-8")).items()}

    def save(self, part: str, tables: Mapping[str, Table]) -> None:
        """Keep the tables of a part."""
        path = self._path(part)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            texts = {name: asdict(table) for name, table in tables.items()}
            path.write_text(json.dumps(texts), encoding="utf-8")

    def _path(self, part: str) -> Path | None:
        return None if self._folder is None else self._folder / f"{part.replace(' ', '_')}.json"


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
