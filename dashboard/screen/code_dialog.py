"""The series of the active point as code: a program, a line of the shell, a notebook."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import panel_material_ui as pmui
from panel.viewable import Viewer

from itslive_core.errors import ItsliveError
from itslive_core.retelling import WAYS
from itslive_core.series.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

__all__ = ["CodeDialog"]

_WAYS = {"Python": "python", "Shell": "command"}
_NO_RECIPE = "This series carries no recipe: its pairs came from no datacube."
_COPY = """
const text = area.data.value
const fallback = () => {
  const hidden = document.createElement('textarea')
  hidden.value = text
  document.body.append(hidden)
  hidden.select()
  document.execCommand('copy')
  hidden.remove()
}
if (navigator.clipboard) navigator.clipboard.writeText(text).catch(fallback)
else fallback()
"""
"""Pages that are not encrypted have no clipboard."""


class CodeDialog(Viewer):
    """A button, and the dialog that it opens.

    Parameters
    ----------
    series : callable
        Gives the series that the files hold, or None.
    """

    def __init__(self, series: Callable[[], xr.Dataset | None], **params: Any) -> None:
        super().__init__(**params)
        self._series = series
        self.button = pmui.Button(
            label="Code",
            description="Code: Python, a shell command or a notebook that makes the same series",
            size="small",
            disabled=True,
            margin=(0, 3),
            width=72,
            css_classes=["itslive-code"],
        )
        self.button.on_click(self._open)
        self._way = pmui.RadioButtonGroup(label="As", options=_WAYS, value="python", size="small", margin=6)
        self._way.param.watch(self._tell, "value")
        self._text = pmui.TextAreaInput(
            label="Code",
            rows=11,
            max_length=100_000,
            sizing_mode="stretch_width",
            margin=6,
            css_classes=["itslive-code-text"],
            sx={"& textarea": {"fontFamily": "monospace", "fontSize": "13px"}},
        )
        copy = pmui.Button(label="Copy", size="small", margin=6, css_classes=["itslive-code-copy"])
        copy.js_on_click(args={"area": self._text}, code=_COPY)
        notebook = pmui.FileDownload(
            label="Notebook",
            filename="series.ipynb",
            callback=self._notebook,
            embed=False,
            auto=True,
            size="small",
            icon="",
            margin=6,
            css_classes=["itslive-code-notebook"],
        )
        self.dialog = pmui.Dialog(
            self._way,
            self._text,
            pmui.Row(copy, notebook, margin=0),
            title="This series as code",
            open=False,
            show_close_button=True,
            close_on_click=True,
            width_option="md",
            css_classes=["itslive-code-dialog"],
        )

    def __panel__(self) -> pmui.Button:
        return self.button

    def offer(self, ready: bool) -> None:
        """Say whether there is a series."""
        self.button.disabled = not ready

    def _open(self, *_: Any) -> None:
        self._tell()
        self.dialog.open = True

    def _tell(self, *_: Any) -> None:
        self._text.value = self._told(self._way.value)

    def _notebook(self) -> io.StringIO:
        return io.StringIO(self._told("notebook"))

    def _told(self, way: str) -> str:
        series = self._series()
        recipe = None if series is None else series.attrs.get("recipe")
        if recipe is None:
            return _NO_RECIPE
        try:
            return WAYS[way](Recipe.from_json(recipe)).rstrip() + "\n"
        except ItsliveError as error:
            return f"{error}\n"
