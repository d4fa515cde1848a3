"""The theme of the page, remembered by the browser; at first it is that of the person's system."""

from __future__ import annotations

from typing import ClassVar

import panel as pn
from panel.custom import JSComponent

__all__ = ["ThemeMemory", "remembered_theme"]

_COOKIE = "itslive-theme"
_SCRIPT = """
export function render({ view }) {
  const name = "NAME"
  const page = view.root.model.data
  const chosen = () => document.cookie.split("; ").some((one) => one.startsWith(name + "="))
  let following = false
  const follow = (dark) => {
    following = true
    page.setv({dark_theme: dark})
    following = false
  }
  page.properties.dark_theme.change.connect(() => {
    if (following) { return }
    const theme = page.dark_theme ? "dark" : "light"
    document.cookie = `${name}=${theme}; path=/; max-age=31536000; SameSite=Lax`
  })
  const system = window.matchMedia("(prefers-color-scheme: dark)")
  system.addEventListener("change", (event) => { if (!chosen()) { follow(event.matches) } })
  if (!chosen() && system.matches != page.dark_theme) { follow(system.matches) }
  return document.createElement("span")
}
""".replace("NAME", _COOKIE)


def remembered_theme() -> bool:
    """Return whether this browser was last left dark; light where it is not known."""
    cookies = pn.state.cookies if pn.state.curdoc is not None else {}
    return bool(cookies.get(_COOKIE) == "dark")


class ThemeMemory(JSComponent):
    """Follows the theme of the system until a person chooses one, which the browser then keeps."""

    _esm: ClassVar[str] = _SCRIPT

    def __init__(self) -> None:
        super().__init__(width=0, height=0, margin=0)
