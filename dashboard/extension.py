"""Panel's settings for this application, made once a session; kernels warmed once a process."""

from __future__ import annotations

import holoviews as hv
import panel as pn

__all__ = ["prepare"]


def prepare() -> None:
    """Load the extensions that the dashboard needs; nothing is fetched from elsewhere."""
    pn.extension(notifications=False)
    hv.extension("bokeh", logo=False)
    # Kept once a process: whoever comes first makes the kernels load while the page is still on its way.
    pn.state.as_cached("itslive-kernels", _warm_kernels)


def _warm_kernels() -> bool:
    import threading

    from itslive_core import warm_up

    threading.Thread(target=warm_up, name="itslive-warm-up", daemon=True).start()
    return True
