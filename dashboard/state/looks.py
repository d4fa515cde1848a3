"""How things are looked at: what belongs to the screen and changes no number."""

from __future__ import annotations

import param

__all__ = ["ARRANGEMENTS", "COMPONENTS", "TABS", "Looks"]

TABS = ("Series", "Space-time", "Decomposition", "Diagnostics")
COMPONENTS = {"Speed": "v", "vx": "vx", "vy": "vy"}
ARRANGEMENTS = {"Overlay": "overlay", "Side by side": "side", "Differences": "difference"}


class Looks(param.Parameterized):
    """What the cards show, as far as a person wants it back."""

    tab = param.Selector(default=TABS[0], objects=list(TABS), doc="What the card of the series shows.")
    component = param.Selector(
        default="v", objects=COMPONENTS, label="Component", doc="Speed, or one of its components."
    )
    arrangement = param.Selector(
        default="overlay", objects=ARRANGEMENTS, label="Points", doc="How several points lie."
    )
    rejected = param.Boolean(default=False, doc="Pairs that are not used are crossed out.")

    FIELDS = ("tab", "component", "arrangement", "rejected")
