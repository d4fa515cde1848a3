"""Panel's settings for this application, made once a session; kernels warmed once a process."""

from __future__ import annotations

import sys
from typing import Any

import holoviews as hv
import panel as pn
from panel.util import edit_readonly

from dashboard.hosting.host import Host
from itslive_core.warming import KernelStages

__all__ = ["kernels", "let_go", "prepare", "shared_host"]

if "ipykernel" in sys.modules:
    # A notebook has no server of ours to load scripts from. They go into the page, not to a public host; set
    # as defaults, before anything (hvplot does on import) loads an extension.
    pn.extension.inline = True
    hv.extension.inline = True
    pn.config.inline = True


def prepare(*, refresh: bool = False) -> None:
    """Load the extensions that the dashboard needs; the page fetches nothing from elsewhere.

    Parameters
    ----------
    refresh : bool
        Let the server look for a newer catalog of cubes in the background, once a week at most; without a
        network the packaged one goes on being used.
    """
    pn.extension(notifications=False)
    hv.extension("bokeh", logo=False)
    kernels()  # whoever comes first has them compiled, or loaded, while the page is still on its way
    if refresh:
        pn.state.as_cached("itslive-catalog", _refresh_catalog)


def kernels() -> KernelStages:
    """Return the kernels of this process, which all sessions share."""
    found: KernelStages = pn.state.as_cached("itslive-kernels", KernelStages)
    return found


def shared_host() -> Host:
    """Return what all sessions of this process share, where a server brings nothing else."""
    found: Host = pn.state.as_cached("itslive-host", _host)
    return found


def _host() -> Host:
    host = Host()
    host.stop_with_process()
    return host


def let_go(page: Any) -> None:
    """Take a page off the state that all sessions share.

    Each page follows `pn.state.busy`: whatever is done in one session would be told to the pages of all,
    which costs a walk through all models of each, and no page could be forgotten. Ours says itself what it is
    doing.
    """
    watchers = pn.state.param.watchers.get("busy", {}).get("value", [])
    for watcher in [one for one in watchers if _owner(one.fn) is page]:
        pn.state.param.unwatch(watcher)
    with edit_readonly(page):
        page.busy = False


def _owner(function: Any) -> Any:
    """Return whose values a function of param keeps in step with others; None of another function."""
    return getattr(getattr(function, "__self__", None), "self", None)


def _refresh_catalog() -> bool:
    from itslive_core.places.catalog_refresh import refresh_in_background

    refresh_in_background()
    return True
