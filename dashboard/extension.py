"""Panel's settings for this application, made once a session; kernels warmed once a process."""

from __future__ import annotations

import sys

import holoviews as hv
import panel as pn

from itslive_core.warming import KernelStages

__all__ = ["kernels", "prepare"]

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


def _refresh_catalog() -> bool:
    from itslive_core.places.catalog_refresh import refresh_in_background

    refresh_in_background()
    return True
