"""Tables that people made: CSV files with any separator, mark at the beginning, spelling and decimal sign."""

from __future__ import annotations

import csv
import math
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from itslive_core.errors import ItsliveError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

__all__ = ["Column", "Table", "parse_number", "read_table"]

_SEPARATORS = ("\t", ";", "|", ",")
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_UNIT = re.compile(r"[\[({](.*?)[\])}]\s*$")
_LARGEST = 200e6  # bytes: no table of points or of dates is larger


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    name : str
        As the header spells it.
    plain : str
        The same in lower case, without accents and unit, words joined by underscores.
    unit : str
        What stands behind the name in brackets; may be empty.
    """

    name: str
    plain: str
    unit: str

    @classmethod
    def of(cls, text: str) -> Column:
        """Take the cell of a header apart."""
        name = text.strip().strip('"').strip()
        found = _UNIT.search(name)
        unit = found.group(1).strip() if found else ""
        bare = name[: found.start()] if found else name
        bare = unicodedata.normalize("NFKD", bare).encode("ascii", "ignore").decode()
        return cls(name, re.sub(r"[^a-z0-9]+", "_", bare.lower()).strip("_"), unit)


@dataclass(frozen=True)
class Table:
    """A table as text.

    Parameters
    ----------
    path : str
        Where it comes from, for messages.
    columns : tuple of Column
    rows : tuple of (int, tuple of str)
        Number of the line in the file, and the cells. A line that could not be taken apart has no cells.
    separator : str
    """

    path: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    separator: str

    def find(self, names: Iterable[str]) -> int | None:
        """Give the place of the first column that bears one of some plain names, in their order; or None."""
        plain = [column.plain for column in self.columns]
        return next((plain.index(name) for name in names if name in plain), None)

    def misfit(self, cells: tuple[str, ...]) -> str:
        """Say what is wrong with the cells of a row as a whole; empty if nothing is."""
        if not cells:
            return "it cannot be taken apart: a quotation mark is not closed"
        if len(cells) > len(self.columns) and any(cell.strip() for cell in cells[len(self.columns) :]):
            hint = "; where numbers have decimal commas, separate cells by semicolons"
            return f"it has {len(cells)} cells, the header {len(self.columns)}" + (
                hint if self.separator == "," else ""
            )
        return ""


def read_table(path: str | os.PathLike[str]) -> Table:
    """Read a table with a header.

    Cells are separated by tabs, semicolons, bars, commas or, without any of these in the header, blanks.
    Empty lines and those that begin with # are left out. Bytes that mark UTF-8 or UTF-16 are understood; what
    is no UTF-8 is taken for the code of Windows.

    Parameters
    ----------
    path : path

    Raises
    ------
    ItsliveError
        If it cannot be read, is no text, or is empty.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise ItsliveError(f"{path} is a folder: name a CSV file")
        if path.stat().st_size > _LARGEST:
            raise ItsliveError(f"{path} is larger than {_LARGEST / 1e6:.0f} MB: name a smaller table")
        raw = path.read_bytes()
    except OSError as error:
        raise ItsliveError(f"cannot read {path}: {error.strerror or error}") from error
    text = _decoded(raw, path)
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise ItsliveError(f"{path} is empty: its first line must name the columns")
    header = lines[0][1]
    separator = next((one for one in _SEPARATORS if one in header), " ")
    columns = tuple(Column.of(cell) for cell in _cells(header, separator))
    if not columns:
        raise ItsliveError(f"{path}: the first line cannot be taken apart: a quotation mark is not closed")
    rows = tuple((number, _cells(line, separator)) for number, line in lines[1:])
    return Table(str(path), columns, rows, separator)


def _decoded(raw: bytes, path: Path) -> str:
    code = next((code for mark, code in _MARKS if raw.startswith(mark)), "utf-8")
    try:
        try:
            text = raw.decode(code)
        except UnicodeDecodeError:
            text = raw.decode("cp1252")
    except UnicodeDecodeError as error:
        raise ItsliveError(f"{path} is no text: save the table as CSV") from error
    if "\0" in text:
        raise ItsliveError(f"{path} is no text: save the table as CSV")
    return text


def _cells(line: str, separator: str) -> tuple[str, ...]:
    """Take a line apart, by itself: a quotation mark that is not closed must not swallow those below."""
    if separator == " ":
        return tuple(line.split())
    try:
        return tuple(next(csv.reader([line], delimiter=separator, strict=True)))
    except (csv.Error, StopIteration):
        return ()


def parse_number(text: str) -> float:
    """Read a number: with a decimal point or comma, any sign of minus, and blanks around it.

    Raises
    ------
    ValueError
        If it is none, or not finite.
    """
    bare = text.strip().replace("\N{MINUS SIGN}", "-").replace("\N{NO-BREAK SPACE}", "").replace(" ", "")
    if bare.count(",") == 1 and "." not in bare:
        bare = bare.replace(",", ".")
    if not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", bare):
        raise ValueError(text)
    value = float(bare)
    if not math.isfinite(value):
        raise ValueError(text)
    return value
