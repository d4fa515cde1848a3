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
    stopping = param.Boolean(default=False, doc="A person has asked it to stop, and it has not yet.")
    done = param.Integer(default=0, bounds=(0, None))
    total = param.Integer(default=0, bounds=(0, None))
    share = param.Magnitude(default=0.0, doc="Of the work that is done.")
    text = param.String(default="")

    def start(self) -> None:
        """Begin to count."""
        self._since = time.monotonic()
        self.param.update(running=True, stopping=False, done=0, total=0, share=0.0, text="Starting …")

    def step(self, done: int, total: int, previews: int = 0, of_preview: float = _OF_PREVIEW) -> None:
        """Count blocks, and those that were shown before they are done; estimate the time left.

        Parameters
        ----------
        done, total, previews : int
        of_preview : float
            Part of the work on one that is done when it is shown for the first time.
        """
        spent = time.monotonic() - self._since
        share = done / total if total else 0.0
        if previews:
            share = min(of_preview * (previews / total) + (1.0 - of_preview) * share, 1.0)
        left = clock(spent / share * (1.0 - share)) if share else "--:--"
        text = self.text if self.stopping else f"{round(100 * share)} % · {left} left"
        self.param.update(done=done, total=total, share=share, text=text)

    def stop(self) -> None:
        """Say that it shall stop; what is under way is finished first."""
        if self.running:
            self.param.update(stopping=True, text="Stopping …")

    def finish(self, text: str) -> None:
        """Stop counting; the text stays until something else is done."""
        self.param.update(running=False, stopping=False, text=text)

    @property
    def spent(self) -> str:
        """Time since it began, as on a clock."""
        return clock(time.monotonic() - self._since)
