"""What a test sees and does in the browser: figures by name, clicks at places in their coordinates."""

from __future__ import annotations

from typing import Any

from tests.waiting import milliseconds, until

_FIND = """
window.itsliveFigure = (name) => {
  for (const doc of Bokeh.documents) {
    for (const model of doc._all_models.values()) {
      if (model.type == "Figure" && model.name == name) { return model }
    }
  }
  return null
}
window.itsliveMarker = () => {
  const figure = itsliveFigure("itslive-criterion")
  const view = Bokeh.index.find_one_by_id(figure.id)
  const marker = figure.center.find((one) => one.name == "itslive-marker")
  const box = view.el.getBoundingClientRect()
  const {top, height} = view.frame.bbox
  return {
    x: box.left + view.frame.x_scale.compute(marker.location),
    y: box.top + top + 0.4 * height,
    smoothing: marker.location,
  }
}
window.itsliveLine = (name, column) => {
  const figure = itsliveFigure(name)
  if (figure == null) { return [] }
  const lines = figure.renderers.filter((one) => one.glyph && one.glyph.type == "Line")
  const data = lines[lines.length - 1].data_source.data
  return Array.from(data[column] || [])
}
"""
_POSITION = """
([name, x, y]) => {
  const figure = itsliveFigure(name)
  const view = figure == null ? null : Bokeh.index.find_one_by_id(figure.id)
  if (view == null) { return null }
  const box = view.el.getBoundingClientRect()
  return [box.left + view.frame.x_scale.compute(x), box.top + view.frame.y_scale.compute(y)]
}
"""


class Screen:
    """One browser session."""

    def __init__(self, page: Any, url: str) -> None:
        self.page, self.url = page, url
        self.errors: list[str] = []
        self.foreign: list[str] = []
        page.add_init_script(_FIND)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._request)

    def _console(self, message: Any) -> None:
        if message.type == "error" or (message.type == "warning" and "bokeh" in message.text.lower()):
            self.errors.append(message.text)

    def _request(self, request: Any) -> None:
        if not request.url.startswith(("http://localhost", "ws://localhost", "data:", "blob:")):
            self.foreign.append(request.url)

    def ready(self) -> None:
        self.page.goto(self.url)
        self.page.wait_for_function(
            "window.Bokeh && Bokeh.documents.length && Bokeh.documents[0].is_idle", timeout=milliseconds(60)
        )
        # The demo is there when the map has zoomed to it.
        self.wait(lambda: self.ranges("itslive-world-map")[1] - self.ranges("itslive-world-map")[0] < 2e6)
        self.wait(lambda: "Ready" in self.text(".itslive-activity"))

    def wait(self, condition: Any, usual: float = 30.0, what: str = "") -> None:
        until(
            condition,
            usual=usual,
            between=lambda: self.page.wait_for_timeout(50),
            what=lambda: f"{what}; message: {self.message()!r}; errors of the page: {self.errors[:3]}",
        )

    def settle(self) -> None:
        """Let the server take note of a click that shows nothing in the page."""
        self.page.wait_for_timeout(milliseconds(0.25))

    def ranges(self, figure: str) -> list[float]:
        return self.page.evaluate(
            "(name) => {const f = itsliveFigure(name); return f == null ? [0, 9e9, 0, 0] :"
            " [f.x_range.start, f.x_range.end, f.y_range.start, f.y_range.end]}",
            figure,
        )

    def position(self, figure: str, x: float, y: float) -> tuple[float, float]:
        """Where a place of a figure is on the screen, once it stays there [pixels]."""
        found: list[list[float] | None] = [None]

        def rests() -> bool:
            found.append(self.page.evaluate(_POSITION, [figure, x, y]))
            before, last = found[-2:]
            if before is None or last is None:
                return False
            return (
                max(abs(one - other) for one, other in zip(last, before, strict=True)) < 0.5 and self._idle()
            )

        self.wait(rests, what=f"{figure} rests")
        left, top = found[-1]
        return left, top

    def _idle(self) -> bool:
        return self.page.evaluate("Bokeh.documents.every((one) => one.is_idle)")

    def click(self, figure: str, x: float, y: float) -> None:
        self.page.mouse.click(*self.position(figure, x, y))

    def drag(self, figure: str, x0: float, x1: float, y: float) -> None:
        """Drag from one x to another."""
        self.page.mouse.move(*self.position(figure, x0, y))
        self.page.mouse.down()
        self.page.mouse.move(*self.position(figure, x1, y), steps=6)
        self.page.mouse.up()

    def click_world(self, lon: float, lat: float) -> None:
        from pyproj import Transformer

        self.click("itslive-world-map", *Transformer.from_crs(4326, 3857, always_xy=True).transform(lon, lat))

    def select_glacier(self, glacier: Any) -> None:
        here = glacier.outline.representative_point()
        self.click_world(here.x, here.y)
        self.wait(lambda: glacier.label in self.text(".itslive-title"), what="the glacier is selected")
        self.wait(lambda: abs(self.ranges("itslive-glacier-map")[0]) > 1000, what="its map is shown")

    def curve(self, figure: str = "itslive-series") -> list[float]:
        return self.page.evaluate("(name) => itsliveLine(name, 'value')", figure)

    def has_figure(self, name: str) -> bool:
        return self.page.evaluate(
            "(name) => {const f = itsliveFigure(name);"
            " return f != null && Bokeh.index.find_one_by_id(f.id) != null}",
            name,
        )

    def marker(self) -> dict[str, float]:
        """Where the marker of lambda is: x, y on the screen, and lambda."""
        return self.page.evaluate("itsliveMarker()")

    def text(self, css: str) -> str:
        return " ".join(self.page.locator(css).all_inner_texts()) + " ".join(
            self.page.locator(f"{css} >> css=div, span, h2").all_inner_texts()
        )

    def message(self) -> str:
        found = self.page.locator(".itslive-message")
        return " ".join(found.locator(".MuiAlert-message").all_inner_texts()) if found.count() else ""

    def fill(self, css: str, value: str) -> None:
        field = self.page.locator(f"{css} input").first
        field.fill(value)
        field.press("Enter")

    def open_section(self, title: str) -> None:
        self.page.get_by_role("button", name=title, exact=True).click()
