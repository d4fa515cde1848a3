"""Fonts and colours of the page, light and dark."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dashboard.colours import ACCENT

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PAGE_STYLE", "THEME"]

_SHARED: Mapping[str, Any] = MappingProxyType(
    {
        "typography": {
            "fontFamily": "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif",
            "body1": {"fontSize": "0.875rem"},
            "h3": {"fontSize": "1.2rem", "fontWeight": 600},
            "button": {"textTransform": "none"},
        },
        "shape": {"borderRadius": 8},
        # A tip hangs over the button beside its own: it must not catch the click that is meant for that one,
        # nor be as narrow as its own button.
        "components": {
            "MuiTooltip": {
                # Beside its button a tip would cover the one to the left of it, or what is below that.
                "defaultProps": {
                    "disableInteractive": True,
                    "slotProps": {"popper": {"placement": "bottom"}},
                },
                "styleOverrides": {"tooltip": {"width": "max-content", "maxWidth": "240px"}},
            }
        },
    }
)

THEME: Mapping[str, Any] = MappingProxyType(
    {
        "light": {
            "palette": {
                "primary": {"main": ACCENT},
                "background": {"default": "#F3F6F8", "paper": "#FFFFFF"},
            },
            **_SHARED,
        },
        "dark": {
            "palette": {
                "primary": {"main": "#5CB8E6"},
                "background": {"default": "#12191F", "paper": "#1B242B"},
            },
            **_SHARED,
        },
    }
)

PAGE_STYLE: Mapping[str, Any] = MappingProxyType(
    {
        "& .header": {"backgroundColor": "#0B3B57", "backgroundImage": "none", "color": "#fff"},
        "& .main": {"backgroundColor": "background.default"},
        "& .sidebar": {"backgroundColor": "background.paper"},
    }
)
