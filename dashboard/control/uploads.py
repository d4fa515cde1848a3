"""Files that a person chose in the browser, while they are read."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from itslive_core.errors import ItsliveError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dashboard.hosting.rules import Rules

__all__ = ["uploaded"]


@contextmanager
def uploaded(content: bytes, name: str, rules: Rules) -> Iterator[Path]:
    """Hold the content of a file on the disk; errors name it as the person does.

    Parameters
    ----------
    content : bytes
    name : str
        As it is called where it comes from; its ending tells what it is.
    rules : Rules
        What the visitor may do.

    Yields
    ------
    Path

    Raises
    ------
    ItsliveError
        If it is too large, or what reads it says so.
    """
    rules.check_upload(content, name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"upload{Path(name).suffix.lower()}"
        path.write_bytes(content)
        try:
            yield path
        except ItsliveError as error:  # where it lay is nobody's business
            raise type(error)(str(error).replace(str(path), name)) from error
