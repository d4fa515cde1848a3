"""Whether another process is still there."""

from __future__ import annotations

import os

__all__ = ["is_alive"]


def is_alive(pid: object) -> bool:
    """Tell whether a process of this machine runs; where that cannot be asked, it may."""
    if os.name != "posix":
        return True
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True
