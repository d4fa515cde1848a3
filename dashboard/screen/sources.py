"""Where data come from: a cube by its path, outlines of a file, imagery from the internet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import panel_material_ui as pmui
from panel.viewable import Viewer

from dashboard.control.examples import available

if TYPE_CHECKING:
    from collections.abc import Callable

    from dashboard.control.places import PlaceControl

__all__ = ["SourcesPanel"]

_MOST_PARTS = 1000
"""Parts in which a file may come; each is of a megabyte or more."""
_WIDE: dict[str, Any] = {"sizing_mode": "stretch_width", "size": "small", "margin": (6, 10)}


def _bound(upload: pmui.FileInput, most: int, on_too_large: Callable[[str], None]) -> None:
    """Let a field take one file in parts, no more of them than there is room for, whatever is announced.

    The field stays one of its class: the page knows no class of ours.

    Parameters
    ----------
    upload : FileInput
    most : int
        Largest file [bytes].
    on_too_large : callable
        Told the name of a larger one.
    """
    take = upload._process_chunk  # noqa: SLF001 - there is no public way between the parts and the file
    files, parts_to_come = upload._file_buffer, upload._buffer  # noqa: SLF001

    def take_some(msg: dict[str, Any]) -> None:
        name, data = str(msg.get("name")), msg.get("data")
        if name not in files:
            files.clear()
            parts_to_come.clear()
        parts = files.get(name, {}).get("chunks", {})
        # A number would become as many zeros.
        if not isinstance(data, (bytes, bytearray, memoryview)) or len(parts) >= _MOST_PARTS:
            return
        if sum(map(len, parts.values())) + memoryview(data).nbytes > most:
            files.clear()
            on_too_large(name)
            return
        take({**msg, "name": name})

    upload._process_chunk = take_some  # noqa: SLF001


class SourcesPanel(Viewer):
    """Widgets that open things.

    Parameters
    ----------
    places : PlaceControl
        Opens what is named.
    on_imagery : callable
        Told whether satellite imagery shall be shown.
    on_example : callable
        Told the key of an example that shall be opened.
    paths : bool
        Offer paths of the server: its visitors are at home there.
    """

    def __init__(
        self,
        places: PlaceControl,
        on_imagery: Callable[[bool], None],
        on_example: Callable[[str], None],
        *,
        paths: bool = True,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        cube = pmui.TextInput(
            label="Datacube: path or URL" if paths else "Datacube: address",
            placeholder="…/cube.zarr  ·  https://  ·  s3://" if paths else "https://  ·  s3://",
            css_classes=["itslive-cube"],
            **_WIDE,
        )
        outlines = pmui.TextInput(
            label="Outlines: path of a file",
            placeholder="…/outlines.gpkg",
            css_classes=["itslive-outlines-path"],
            visible=paths,
            **_WIDE,
        )
        upload = pmui.FileInput(
            label="Upload outlines",
            accept=".geojson,.json,.gpkg,.zip",
            multiple=False,
            variant="outlined",
            css_classes=["itslive-upload"],
            **_WIDE,
        )
        _bound(upload, places.most_upload, places.too_large)
        imagery = pmui.Switch(
            label="Satellite imagery (online)", value=False, css_classes=["itslive-imagery"], **_WIDE
        )
        cube.param.watch(lambda event: places.open_cube(event.new), "value")
        outlines.param.watch(lambda event: places.load_outlines(event.new), "value")
        upload.param.watch(
            lambda event: places.upload(event.new, upload.filename or "") if event.new else None,
            "value",
            onlychanged=False,  # the same content again, perhaps under another name
        )
        imagery.param.watch(lambda event: on_imagery(event.new), "value")
        chips = pmui.FlexBox(margin=(0, 8), css_classes=["itslive-examples"])
        for one in available():
            chip = pmui.Button(label=one.title, variant="outlined", size="small", icon="landscape", margin=2)
            chip.on_click(lambda _, key=one.key: on_example(key))
            chips.append(chip)
        self.layout = pmui.Column(chips, cube, outlines, upload, imagery, sizing_mode="stretch_width")

    def __panel__(self) -> pmui.Column:
        return self.layout
