"""Errors whose message is meant for the person at the keyboard.

Every message is one clear sentence that names the offending value and says what to do.
The command line and the dashboard print them as they are.
"""

from __future__ import annotations

__all__ = [
    "CoverageError",
    "CubeError",
    "DeviceError",
    "ItsliveError",
    "OutlineError",
    "OutputError",
    "SelectionError",
    "ServiceError",
    "SettingsError",
]


class ItsliveError(Exception):
    """Base of all errors that this package raises on purpose."""


class CubeError(ItsliveError):
    """A datacube cannot be opened or lacks what an estimate needs."""


class CoverageError(ItsliveError):
    """No datacube, or no pixel of the datacube, covers the place asked for."""


class SelectionError(ItsliveError):
    """A selection leaves nothing to work on."""


class SettingsError(ItsliveError, ValueError):
    """A setting has an impossible value."""


class DeviceError(SettingsError):
    """A device that was asked for is not there: the setting is possible, on another machine."""


class OutlineError(ItsliveError):
    """A glacier outline or centreline cannot be read or does not fit."""


class ServiceError(ItsliveError):
    """A remote service is down or answered something unusable."""


class OutputError(ItsliveError):
    """A result cannot be written where it was asked for."""
