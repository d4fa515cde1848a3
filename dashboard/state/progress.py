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
        self._since, self._first = time.monotonic(), 0.0
        self.param.update(running=True, stopping=False, done=0, total=0, share=0.0, text="Starting …")

    def begin_at(self, done: int, total: int) -> None:
        """Note what was done before: it says nothing of the time left."""
        self._since, self._first = time.monotonic(), done / total if total else 0.0
        self.param.update(done=done, total=total, share=self._first)

    def wait_for(self, before: int) -> None:
        """Say how many others have their turn before; the time begins with one's own."""
        self._since = time.monotonic()
        if not self.stopping:
            self.text = f"Waiting for the server, {before} before this" if before else "Next in turn"

    def step(self, done: int, total: int, previews: int = 0, of_preview: float = _OF_PREVIEW) -> None:
        """Count what is done, and what was shown before it is; estimate the time left.

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
        gained = share - self._first
        left = clock(spent / gained * (1.0 - share)) if gained > 0 else "--:--"
        text = self.text if self.stopping else f"{round(100 * share)} % · {left} left"
        self.param.update(done=done, total=total, share=max(share, self._first), text=text)

    def stop(self) -> None:
        """Say that it shall stop; what is under way is given up."""
        if self.running:
            self.param.update(stopping=True, text="Stopping …")

    def end(self, state: str, done: int, total: int, more: str = "") -> None:
        """Say how it ended, in numbers of pixels."""
        pixels = f"{total:,} pixel{'s' if total != 1 else ''}"
        if state == "done":
            self.finish(f"Done: {pixels} in {self.spent}{more}")
        else:
            self.finish(f"{'Failed' if state == 'failed' else 'Stopped'}: {done:,} of {pixels}")

    def finish(self, text: str) -> None:
        """Stop counting; the text stays until something else is done."""
        self.param.update(running=False, stopping=False, text=text)

    @property
    def spent(self) -> str:
        """Time since it began, as on a clock."""
        return clock(time.monotonic() - self._since)
