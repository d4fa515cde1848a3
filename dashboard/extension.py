"""Panel's settings for this application, made once a session."""

from __future__ import annotations

import holoviews as hv
import panel as pn

__all__ = ["prepare"]


def prepare() -> None:
    """Load the extensions that the dashboard needs; nothing is fetched from elsewhere."""
    pn.extension(notifications=False)
    hv.extension("bokeh", logo=False)
