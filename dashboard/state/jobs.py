"""Estimates of whole glaciers, as a person sees them: the one on the map, the list, and words for each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import param

if TYPE_CHECKING:
    from dashboard.hosting.standing import Standing

__all__ = ["Jobs", "about", "words_of", "words_of_age", "words_of_size"]

MOST_KNOWN = 50
"""Results that a browser remembers."""


class Jobs(param.Parameterized):
    """What a session knows of the estimates of whole glaciers. Lists are replaced, never changed in place."""

    current: Standing | None = param.Parameter(default=None, doc="The job that the map shows.")
    opening = param.String(default="", doc="Id of the result that is about to be shown.")
    listed = param.List(default=[], doc="Jobs that are offered, the newest first.")
    known = param.List(default=[], doc="Ids that this browser knows, the newest first.")
    keep = param.Boolean(default=True, label="Keep running")
    size = param.String(default="", doc="How large the next one is, and how long it takes, in words.")

    @property
    def shown(self) -> str:
        """Id of the result that is shown, or about to be; empty for none."""
        return self.opening if self.current is None else str(self.current.id)

    def learn(self, job: str) -> None:
        """Remember a job."""
        self.known = [job, *(one for one in self.known if one != job)][:MOST_KNOWN]

    def recall(self, ids: list[str]) -> None:
        """Take over what the browser remembers, after what this session knows."""
        known = list(dict.fromkeys((*self.known, *ids)))[:MOST_KNOWN]
        if known != self.known:
            self.known = known

    def forget(self, job: str) -> None:
        """Forget a job that was deleted."""
        self.known = [one for one in self.known if one != job]
        self.listed = [one for one in self.listed if one.id != job]
        if self.current is not None and self.current.id == job:
            self.current = None

    def note(self, standing: Standing) -> None:
        """Take note of how a job stands."""
        if any(one.id == standing.id for one in self.listed):
            self.listed = [standing if one.id == standing.id else one for one in self.listed]
        else:
            self.listed = [standing, *self.listed]
        if self.current is not None and self.current.id == standing.id:
            self.current = standing


def about(seconds: float) -> str:
    """Say a duration as one that is not known exactly."""
    if seconds < 50:
        return "less than a minute"
    if seconds < 5400:
        return f"about {max(1, round(seconds / 60))} min"
    return f"about {round(seconds / 3600)} h"


def words_of_size(pixels: int, cells: int, size: float, seconds: float | None) -> str:
    """Say how large a job is, and how long it may take.

    Parameters
    ----------
    pixels, cells : int
    size : float
        Bytes on disk.
    seconds : float or None
        None where nothing is known.
    """
    megabytes = size / 1e6
    on_disk = f"about {megabytes:,.0f} MB" if megabytes >= 1 else "less than 1 MB"
    if seconds is None:
        time_words = "how long it takes is known after the first blocks"
    else:
        time_words = f"{about(seconds)}, as such a job took here"
    return f"{pixels:,} pixels, {cells:,} time cells, {on_disk}; {time_words}"


def words_of(standing: Standing) -> str:
    """Say in a few words how a job stands."""
    share = _percent(standing.done, standing.pixels)
    count = f"{standing.done:,} of {standing.pixels:,} pixels"
    if standing.state == "waiting":
        return f"Waiting, {standing.before} before it" if standing.before else "Next in turn"
    if standing.state == "working":
        return f"Running: {count}"
    if standing.state == "stopping":
        return f"Stopping: {count}"
    if standing.state == "done":
        return f"Done: {standing.pixels:,} pixel{'s' if standing.pixels != 1 else ''}"
    if standing.state == "failed":
        return f"Failed at {share}: {standing.words}"
    return f"Stopped at {share}: {count}"


def words_of_age(created: float, now: float | None = None) -> str:
    """Say when something was begun, in UTC; today's by its time."""
    then, today = time.gmtime(created), time.gmtime(now)
    form = "%H:%M UTC" if then[:3] == today[:3] else "%Y-%m-%d"
    return time.strftime(form, then)


def _percent(done: int, total: int) -> str:
    """Never 100 % before the end."""
    return f"{min(99, int(100 * done / total)) if total and done < total else 100} %"
