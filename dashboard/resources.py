"""What the machine offers: assets, of a clone or an installed wheel; devices, threads."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

__all__ = ["asset", "devices_in_words", "one_thread_of_algebra"]

_HERE = Path(__file__).resolve().parent
_FOLDERS = (_HERE / "assets", _HERE.parent / "assets")


def asset(name: str) -> Path:
    """Return the path of an asset.

    Parameters
    ----------
    name : str
        File name inside the assets folder.

    Raises
    ------
    FileNotFoundError
        If neither a clone nor a wheel carries it.
    """
    for folder in _FOLDERS:
        path = folder / name
        if path.exists():
            return path
    raise FileNotFoundError(f"the asset {name!r} is missing from the installation: install the package again")


@lru_cache(maxsize=1)
def devices_in_words() -> str:
    """Name what can compute here, with its memory; it is the same for all sessions."""
    from itslive_core.support.devices import find_devices

    found = find_devices()
    words = "; ".join(str(device) for device in found)
    return words if any(device.kind == "cuda" for device in found) else f"{words}; no GPU (CUDA) here"


@lru_cache(maxsize=1)
def one_thread_of_algebra() -> None:
    """Give each matrix product of this process one thread; for a server, not for somebody's notebook.

    The matrices of a pixel are small: threads that wait for each other only take time from the page and from
    other sessions.
    """
    import scipy.linalg  # noqa: F401 - what is not loaded yet cannot be told
    from threadpoolctl import threadpool_limits

    threadpool_limits(1, user_api="blas")
