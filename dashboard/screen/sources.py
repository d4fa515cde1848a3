"""Where data come from: a cube by its path, outlines of a file, imagery from the internet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import panel_material_ui as pmui
from panel.viewable import Viewer

from dashboard.control.examples import available
from dashboard.screen.uploads import bound_upload

if TYPE_CHECKING:
    from collections.abc import Callable

    from dashboard.control.places import PlaceControl

__all__ = ["SourcesPanel"]

_WIDE: dict[str, Any] = {"sizing_mode": "stretch_width", "size": "small", "margin": (6, 10)}


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
        bound_upload(upload, places.most_upload, places.too_large)
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
