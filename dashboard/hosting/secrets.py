"""Passwords and keys in addresses: left out of what is shown, linked or logged."""

from __future__ import annotations

import re

__all__ = ["has_secret", "hidden"]

_USER = re.compile(r"(?<=://)[^/\s@]*@")
_KEYS = re.compile(
    r"(?i)([?&;](?:[\w.-]*(?:token|signature|password|passwd|secret|credential|api[_-]?key|access[_-]?key)[\w.-]*"
    r"|sig|key|auth)=)[^&;#\s'\")]+"
)


def hidden(text: str) -> str:
    """Return a text in which each address has lost its user, its password, and keys in its query."""
    return _KEYS.sub(r"\1…", _USER.sub("…@", text))


def has_secret(address: str) -> bool:
    """Tell whether an address holds something that is not for others."""
    return hidden(address) != address
