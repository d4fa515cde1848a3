"""How long something takes, as a person reads it."""

from __future__ import annotations

__all__ = ["clock"]


def clock(seconds: float) -> str:
    """Write a duration [s] as mm:ss or h:mm:ss; nothing is shorter than 00:00."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"
