"""The results that a browser knows, kept by it: who has the id of a result may open it, nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import param
from panel.custom import JSComponent

from dashboard.hosting.results import is_id

if TYPE_CHECKING:
    from dashboard.state.jobs import Jobs

__all__ = ["JobMemory"]

_SCRIPT = """
export function render({ model }) {
  const name = "itslive-results " + location.pathname
  let kept = []
  try { kept = JSON.parse(localStorage.getItem(name)) ?? [] } catch (error) { /* none, or not allowed */ }
  model.on("ids", () => {
    try { localStorage.setItem(name, JSON.stringify(model.ids)) } catch (error) { /* not allowed */ }
  })
  if (Array.isArray(kept) && kept.length) {
    model.ids = [...model.ids, ...kept.filter((one) => !model.ids.includes(one))]
  }
  return document.createElement("span")
}
"""


class JobMemory(JSComponent):
    """Keeps `Jobs.known` in the browser.

    Parameters
    ----------
    jobs : Jobs
    """

    ids = param.List(default=[], doc="What the browser keeps; comes from a stranger.")

    _esm: ClassVar[str] = _SCRIPT

    def __init__(self, jobs: Jobs, **params: Any) -> None:
        super().__init__(width=0, height=0, margin=0, ids=list(jobs.known), **params)
        self._jobs = jobs
        self.param.watch(self._remembered, "ids")
        jobs.param.watch(self._keep, "known")

    def _remembered(self, event: Any) -> None:
        found = [one for one in event.new[:200] if isinstance(one, str) and is_id(one)]
        self._jobs.recall(found)

    def _keep(self, event: Any) -> None:
        if event.new != self.ids:
            self.ids = list(event.new)
