"""Which format a Zarr group is of, and its metadata: found in as few requests and rounds as can be."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from itslive_core.cubes.codecs import check_codecs
from itslive_core.cubes.files import DeniedError, words_of_damage
from itslive_core.cubes.foreign_files import is_references, refused_references

if TYPE_CHECKING:
    from itslive_core.cubes.files import Files

__all__ = ["Metadata", "check_document", "find_metadata"]

_RELEASE_2 = re.compile(r"/v0?2(?!\.?\d)")
"""Folders of the releases of ITS_LIVE that are in format 2, such as ``v2-updated-october2024``."""
_FORMAT_3 = re.compile(r"/v0?3(?!\.?\d)|zarr[-_.]?v?3|[-_/.]v3\b|shard", re.IGNORECASE)
"""Addresses that say that they are of format 3."""

Metadata = tuple[Any, dict[str, bytes | None], bool]
"""The format, the metadata documents found, and whether these are all that there are."""


def find_metadata(files: Files) -> Metadata | None:
    """Fetch what says which format this is; None where nothing does.

    Format 2 is looked for first, but where the address says that it is of format 3: a wrong guess costs a
    distant reader a round.
    """
    ways = [_consolidated_2, _format_3, _single_2]
    if files.local or (_FORMAT_3.search(files.url) and not _RELEASE_2.search(files.url)):
        ways = [_format_3, _consolidated_2, _single_2]
    left: Metadata | None = None
    failed: Exception | None = None
    sound = True
    for read in ways:
        try:
            found = read(files)
        except (DeniedError, ValueError, RecursionError) as error:
            failed = failed or error  # some servers have a page for what is not there, or deny it
            sound = sound and read is _format_3
            continue
        # Where documents of format 2 are damaged, others of that format do not stand for them.
        if found is not None and (sound if found[0] == 2 else _has_velocity(found)):
            return found
        # What another program left in a cube of format 2 may look like an empty group of format 3.
        left = left or found
    if failed is not None and (left is None or not sound):
        raise failed
    return left


def _has_velocity(found: Metadata) -> bool:
    _, documents, complete = found
    if not complete:
        return documents.get("vx/zarr.json") is not None
    members = json.loads(documents["zarr.json"] or b"{}").get("consolidated_metadata", {}).get("metadata", {})
    return "vx" in members


def _consolidated_2(files: Files) -> Metadata | None:
    found = files.read(".zmetadata")
    if found is not None:
        if is_references(found):
            raise refused_references(files.url)
        metadata = json.loads(found)["metadata"]
        for key, value in metadata.items():
            if key.endswith(".zarray"):
                check_codecs(value, files.url)
        documents: dict[str, bytes | None] = {
            key: json.dumps(value).encode() for key, value in metadata.items()
        }
        if any(key.endswith(".zarray") for key in documents):
            documents.setdefault(".zgroup", b'{"zarr_format": 2}')
            return 2, documents, True
    return None


def _single_2(files: Files) -> Metadata | None:
    found = files.read(".zgroup")
    return None if found is None else (2, {".zgroup": found}, False)


def _format_3(files: Files) -> Metadata | None:
    found = files.read("zarr.json")
    if found is None:
        return None
    group = json.loads(found)
    check_codecs(group, files.url)
    documents: dict[str, bytes | None] = {"zarr.json": found}
    complete = isinstance(group, dict) and bool(group.get("consolidated_metadata"))
    if not complete:
        documents["vx/zarr.json"] = velocity = files.read("vx/zarr.json")
        if velocity is not None:
            check_document(velocity, files.url)
    return 3, documents, complete


def check_document(content: bytes, url: str) -> None:
    """Look at the codecs of metadata before Zarr does."""
    try:
        metadata = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its metadata are damaged ({words_of_damage(error)})") from error
    check_codecs(metadata, url)
