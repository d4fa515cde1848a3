"""Fields that take a file in parts, no more of them than there is room for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import panel_material_ui as pmui

__all__ = ["bound_upload"]

_MOST_PARTS = 1000
"""Parts in which a file may come; each is of a megabyte or more."""


def bound_upload(upload: pmui.FileInput, most: int, on_too_large: Callable[[str], None]) -> None:
    """Let a field take one file in parts, no more of them than there is room for, whatever is announced.

    The field stays one of its class: the page knows no class of ours.

    Parameters
    ----------
    upload : FileInput
    most : int
        Largest file [bytes].
    on_too_large : callable
        Told the name of a larger one.
    """
    take = upload._process_chunk  # noqa: SLF001 - there is no public way between the parts and the file
    files, parts_to_come = upload._file_buffer, upload._buffer  # noqa: SLF001

    def take_some(msg: dict[str, Any]) -> None:
        name, data = str(msg.get("name")), msg.get("data")
        if name not in files:
            files.clear()
            parts_to_come.clear()
        parts = files.get(name, {}).get("chunks", {})
        # A number would become as many zeros.
        if not isinstance(data, (bytes, bytearray, memoryview)) or len(parts) >= _MOST_PARTS:
            return
        if sum(map(len, parts.values())) + memoryview(data).nbytes > most:
            files.clear()
            on_too_large(name)
            return
        take({**msg, "name": name})

    upload._process_chunk = take_some  # noqa: SLF001
