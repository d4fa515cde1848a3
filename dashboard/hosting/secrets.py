"""What is not for others: passwords and keys in addresses, folders of a server."""

from __future__ import annotations

import json
import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["has_secret", "hidden", "nameless", "nameless_attributes", "without_folders"]

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


def without_folders(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a series in which a datacube on this machine goes by its name alone.

    Parameters
    ----------
    attributes : mapping
        With ``cube_url`` and ``recipe``, as the series of a point has them.
    """
    out = dict(attributes)
    if "cube_url" in out:
        out["cube_url"] = _name_of(str(out["cube_url"]))
    if out.get("recipe"):
        recipe = json.loads(out["recipe"])
        for cube in recipe["cubes"]:
            cube["url"] = _name_of(cube["url"])
        out["recipe"] = json.dumps(recipe)
    return out


def nameless(text: str, addresses: Iterable[str]) -> str:
    """Return a text in which datacubes on this machine, of some addresses, go by their names alone."""
    for address in sorted(addresses, key=len, reverse=True):
        text = text.replace(address, _name_of(address))
    return text


def nameless_attributes(attributes: Mapping[str, Any], addresses: Iterable[str]) -> dict[str, Any]:
    """Return attributes in which datacubes on this machine go by their names alone, in JSON texts too."""
    known = list(addresses)

    def told(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: told(one) for name, one in value.items()}
        if isinstance(value, list):
            return [told(one) for one in value]
        if not isinstance(value, str):
            return value
        if value.startswith("{"):
            try:
                return json.dumps(told(json.loads(value)))
            except ValueError:
                pass
        return nameless(value, known)

    return {name: told(value) for name, value in attributes.items()}


def _name_of(address: str) -> str:
    path = address.removeprefix("file://")
    return path if "://" in path else PurePath(path).name
