"""How far a long job is, in numbers and in words."""

from __future__ import annotations

import time

import param

from itslive_core.support.durations import clock

__all__ = ["Progress"]

_OF_PREVIEW = 0.8
"""Part of the work on a block that is done when its pixels are estimated and not yet coupled to others."""


class Progress(param.Parameterized):
    """How far the inversion of a glacier is."""

    running = param.Boolean(default=False)
    done = param.Integer(default=0, bounds=(0, None))
    total = param.Integer(default=0, bounds=(0, None))
    share = param.Magnitude(default=0.0, doc="Of the work that is done.")
    text = param.String(default="")

    def start(self) -> None:
        """Begin to count."""
        self._since = time.monotonic()
        self.param.update(running=True, done=0, total=0, share=0.0, text="Starting …")

    def step(self, done: int, total: int, previews: int = 0) -> None:
        """Count blocks, and those that were shown before they are done; estimate the time left."""
        spent = time.monotonic() - self._since
        share = done / total if total else 0.0
        if previews:
            share = min(_OF_PREVIEW * (previews / total) + (1.0 - _OF_PREVIEW) * share, 1.0)
        left = clock(spent / share * (1.0 - share)) if share else "--:--"
        self.param.update(done=done, total=total, share=share, text=f"{round(100 * share)} % · {left} left")

    def finish(self, text: str) -> None:
        """Stop counting."""
        self.param.update(running=False, text=text)
