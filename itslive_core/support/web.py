"""Downloads that survive slow and flaky servers."""

from __future__ import annotations

import os
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from itslive_core.errors import ServiceError
from itslive_core.support.reach import check_url, web_session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import requests

__all__ = ["RefusedError", "Retry", "download", "fetch"]

T = TypeVar("T")

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP status codes that a later try may not meet."""


class RefusedError(ServiceError):
    """The server is up but does not answer this request; asking again would not help."""


@dataclass(frozen=True)
class Retry:
    """How patient a download is.

    Attributes
    ----------
    tries
        Requests sent before giving up.
    pause
        Seconds before the second try, doubled for each further one, times a random factor of 0.5 to 1.5:
        clients that failed together shall not come back together.
    connect, read
        Seconds to wait for a connection, and for each piece of the answer.
    """

    tries: int = 3
    pause: float = 0.5
    connect: float = 5.0
    read: float = 60.0

    def wait_before(self, attempt: int) -> float:
        """Seconds to wait before a try; ``attempt`` counts from 0."""
        if attempt == 0:
            return 0.0
        jitter = random.uniform(0.5, 1.5)  # noqa: S311 - spreads the load, guards no secret
        return self.pause * 2.0 ** (attempt - 1) * jitter


def fetch(
    url: str, *, params: Mapping[str, str] | None = None, who: str = "", retry: Retry | None = None
) -> bytes:
    """Return what an ``http`` or ``https`` address holds.

    Parameters
    ----------
    url, params
        The address and its query.
    who
        What the service is called in an error message; the host's name by default.
    retry
        Number of tries and time limits.

    Raises
    ------
    ServiceError
        If the server cannot be reached, or keeps failing.
    RefusedError
        If it answers that it will not serve this address.
    """
    return _try(url, params, who, retry or Retry(), lambda response: bytes(response.content))


def download(url: str, path: Path, *, who: str = "", retry: Retry | None = None) -> None:
    """Save a large file piece by piece; it appears at ``path`` only when it is complete.

    Raises
    ------
    ServiceError
        As :func:`fetch`.
    OSError
        If the file cannot be written.
    """

    def save(response: requests.Response) -> None:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                for piece in response.iter_content(1 << 20):
                    file.write(piece)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)

    _try(url, None, who, retry or Retry(), save)


def _try(
    url: str,
    params: Mapping[str, str] | None,
    who: str,
    retry: Retry,
    use: Callable[[requests.Response], T],
) -> T:
    import requests

    check_url(url)
    host = url.split("/")[2] if url.count("/") >= 2 else url
    who = f"{who} ({host})" if who else host
    limits = (retry.connect, retry.read)
    reason = "no try was allowed"
    for attempt in range(retry.tries):
        time.sleep(retry.wait_before(attempt))
        try:
            with (
                web_session() as session,
                session.get(url, params=params, timeout=limits, stream=True) as response,
            ):
                if response.status_code in PASSING:
                    reason = f"it answers {response.status_code} {response.reason}"
                    continue
                if not response.ok:
                    raise RefusedError(f"{who} refuses {url}: {response.status_code} {response.reason}")
                return use(response)
        except requests.Timeout:
            reason = f"no answer within {retry.read:g} s"
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            reason = "no connection, or it broke off"
        except requests.RequestException as error:
            raise RefusedError(f"{url} cannot be asked for: {error}") from error
    raise ServiceError(f"{who} is not available: {reason}, {retry.tries} tries; try again later")
