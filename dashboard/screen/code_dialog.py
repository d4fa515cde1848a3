"""The series of the active point as code: a program, a line of the shell, a notebook."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import panel_material_ui as pmui
from panel.viewable import Viewer

from dashboard.screen.clipboard import copying
from itslive_core.errors import ItsliveError
from itslive_core.retelling import WAYS
from itslive_core.series.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

__all__ = ["CodeDialog"]

_WAYS = {"Python": "python", "Shell": "command"}
_ELSEWHERE = "# The datacube lies on the server of this page: name a copy of your own.\n"
_NO_RECIPE = "This series carries no recipe: its pairs came from no datacube."
_TEXT = """
const origin = cb_obj.origin ?? cb_obj.model ?? cb_obj
let text = ""
for (const one of (origin.document ?? Bokeh.documents[0])._all_models.values()) {
  if ((one.css_classes ?? []).includes("itslive-code-text")) text = one.data.value
}
"""
"""The field is looked for: arguments would be held for ever."""


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
        copy.js_on_click(code=copying(_TEXT))
        self._notebook = pmui.FileDownload(
            label="Notebook",
            filename="series.ipynb",
            callback=lambda: io.StringIO(self._told("notebook")[0]),
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
            pmui.Row(copy, self._notebook, margin=0),
            title="This series as code",
            open=False,
            show_close_button=True,
            close_on_click=True,
            width_option="md",
            css_classes=["itslive-code-dialog"],
        )

    def __panel__(self) -> pmui.Button:
        return self.button

    def offer(self, ready: bool, stem: str) -> None:
        """Say whether there is a series, and what its files are called without their endings."""
        self.button.disabled = not ready
        self._notebook.filename = f"{stem}.ipynb"

    def _open(self, *_: Any) -> None:
        self._tell()
        self.dialog.open = True

    def _tell(self, *_: Any) -> None:
        self._text.value, done = self._told(self._way.value)
        self._notebook.disabled = not done

    def _told(self, way: str) -> tuple[str, bool]:
        """Tell the series, and whether that could be done; else why not."""
        series = self._series()
        text = None if series is None else series.attrs.get("recipe")
        if text is None:
            return _NO_RECIPE, False
        try:
            recipe = Recipe.from_json(text)
            words = WAYS[way](recipe).rstrip() + "\n"
        except ItsliveError as error:
            return f"{error}\n", False
        known = all("://" in cube.url or Path(cube.url).is_absolute() for cube in recipe.cubes)
        return (words if known or way == "notebook" else _ELSEWHERE + words), True
