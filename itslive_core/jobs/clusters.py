"""A Dask cluster to work on."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from itslive_core.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

__all__ = ["LOCAL", "executor_on"]

LOCAL = "local"
"""A cluster of this machine that lasts as long as it is used."""
_PATIENCE = 10.0
"""For a scheduler to answer [s]."""


@contextmanager
def executor_on(cluster: str | None, workers: int | None = None) -> Iterator[Executor | None]:
    """Make a context with the executor of a Dask cluster.

    Parameters
    ----------
    cluster : str or None
        Address of a scheduler, or `LOCAL`. None gives None: to compute on threads of this process.
    workers : int, optional
        Of a local one.

    Raises
    ------
    ServiceError
        If the cluster does not answer.
    """
    if cluster is None:
        yield None
        return
    try:
        from distributed import Client

        # One thread a worker: the kernels run without Python's lock, but many threads fight for one cache.
        local = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
        # A default that fails would stay the default: whatever used Dask later would fail too.
        alone: dict[str, Any] = {"set_as_default": False}
        client = Client(**local, **alone) if cluster == LOCAL else Client(cluster, timeout=_PATIENCE, **alone)
    except (OSError, ValueError, ImportError) as error:
        raise ServiceError(
            f"cannot use the Dask cluster {cluster!r}: {error}; start it, or leave out --dask"
        ) from error
    with client:
        yield client.get_executor()
