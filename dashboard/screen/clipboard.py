"""Copying a text to the clipboard of the person's machine."""

from __future__ import annotations

__all__ = ["copying"]

_COPY = """
const fallback = () => {
  const hidden = document.createElement('textarea')
  hidden.value = text
  document.body.append(hidden)
  hidden.select()
  document.execCommand('copy')
  hidden.remove()
}
if (navigator.clipboard) navigator.clipboard.writeText(text).catch(fallback)
else fallback()
"""
"""Pages without encryption have no clipboard."""


def copying(text: str) -> str:
    """Return a script of the browser that copies what another one, ``text``, puts into its variable text."""
    return text + _COPY
