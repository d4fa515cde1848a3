"""What the page does when the server is gone: it says so, asks when it is back, and opens its address again.

All that a person would want back is in the address. Bokeh's own way, to go on with the session where it
stopped, loses the arrays of the figures, and there is no session after a restart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bokeh.models import CustomJS

if TYPE_CHECKING:
    from bokeh.document import Document

__all__ = ["reopen_when_lost"]

LONGEST_WAIT = 32
"""Between two questions [s]; the first comes after one second, and each later one after twice the time."""
UNUSED = 5
"""A page that nobody touched for so long waits for its person before it opens again [min]."""

_WATCH = """
if (window.itsliveConnection == null) {
  const seen = {at: Date.now()}
  for (const name of ["pointermove", "pointerdown", "keydown", "wheel", "focus"]) {
    const touched = () => { seen.at = Date.now(); if (seen.wake) { seen.wake() } }
    window.addEventListener(name, touched, {passive: true})
  }
  window.itsliveConnection = seen
}
"""

_LOST = """
const seen = window.itsliveConnection || {at: Date.now()}
if (seen.lost) { return }
seen.lost = true
const note = document.createElement("div")
note.className = "itslive-lost"
note.setAttribute("role", "alert")
Object.assign(note.style, {
  position: "fixed", left: "50%", bottom: "24px", transform: "translateX(-50%)", zIndex: 5000,
  padding: "10px 18px", borderRadius: "8px", background: "#5f2120", color: "#fff",
  font: "14px system-ui, sans-serif", boxShadow: "0 2px 12px rgba(0,0,0,.4)",
})
document.body.append(note)
const here = new URL(window.location.href)
const health = new URL("health", here.origin + here.pathname)
const pause = (ms) => new Promise((done) => setTimeout(done, ms))
const idle = Date.now() - seen.at > UNUSED * 60000
if (idle || document.hidden) {
  note.textContent = "This page was not used, and its session has ended. Touch it to open it again as it was."
  await new Promise((done) => {
    seen.wake = done
    document.addEventListener("visibilitychange", () => { if (!document.hidden && !idle) { done() } })
  })
}
for (let wait = 1; ; wait = Math.min(2 * wait, LONGEST)) {
  for (let left = wait; left > 0; left -= 1) {
    note.textContent = `The connection was lost. Trying again in ${left} s; the page comes back as it is now.`
    await pause(1000 * (0.75 + 0.5 * Math.random()))
  }
  note.textContent = "The connection was lost. Trying again now."
  try {
    const answer = await fetch(health, {cache: "no-store"})
    if (answer.status < 500) { window.location.reload(); return }
  } catch (error) {
    // still away
  }
}
"""


def reopen_when_lost(document: Document) -> None:
    """Let the page of a session open its address again when its connection is lost.

    Parameters
    ----------
    document : Document
        Of the session.
    """
    lost = _LOST.replace("UNUSED", str(UNUSED)).replace("LONGEST", str(LONGEST_WAIT))
    document.config.update(reconnect_session=False, notify_connection_status=False)
    document.js_on_event("document_ready", CustomJS(code=_WATCH))
    document.js_on_event("connection_lost", CustomJS(code=f"(async () => {{{lost}}})()"))
