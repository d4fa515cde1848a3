"""The widgets beside the maps: data, and what is selected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import holoviews as hv
import numpy as np
import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewer

from dashboard.colours import MISSION_COLOURS, MISSION_LABELS
from dashboard.screen.pair_panel import LeftOutPanel
from dashboard.views.figures import live, weakly
from dashboard.views.spans import listen_to_brush, span_histogram

if TYPE_CHECKING:
    from collections.abc import Callable

    from dashboard.state.filters import Filters
    from dashboard.state.selection import Selection
    from itslive_core import ImagePairs

__all__ = ["FiltersPanel", "SelectionPanel"]

_WIDE: dict[str, Any] = {"sizing_mode": "stretch_width", "margin": (6, 10)}


class FiltersPanel(Viewer):
    """Widgets of the filters; the missions carry their colours and counts."""

    def __init__(self, filters: Filters, **params: Any) -> None:
        super().__init__(**params)
        self._filters = filters
        self.missions = pmui.CheckBoxGroup.from_param(
            filters.param.missions,
            label="Missions",
            options=self._options({}),
            css_classes=["itslive-missions"],
            inline=False,
            sx={
                f"& .MuiFormControlLabel-root:nth-of-type({number}) .MuiCheckbox-root": {
                    "color": colour,
                    "padding": "3px 9px",
                    "&.Mui-checked": {"color": colour},
                }
                for number, colour in enumerate(MISSION_COLOURS.values(), start=1)
            },
            **_WIDE,
        )
        self._spans = hv.streams.Pipe(data=np.empty(0))
        listen = weakly(self._listen)
        self.histogram = pn.pane.HoloViews(
            live(lambda spans: span_histogram(spans, listen), self._spans),
            sizing_mode="stretch_width",
            height=125,
            margin=(0, 6),
            theme=None,
            linked_axes=False,
            css_classes=["itslive-spans"],
        )
        reset = pmui.Button(
            label="Use all pairs", size="small", variant="text", css_classes=["itslive-reset"], **_WIDE
        )
        reset.on_click(lambda _: filters.reset())
        self.layout = pmui.Column(
            self.missions,
            pmui.Row(
                pmui.DatePicker.from_param(
                    filters.param.start, size="small", clearable=True, css_classes=["itslive-start"], **_WIDE
                ),
                pmui.DatePicker.from_param(
                    filters.param.end, size="small", clearable=True, css_classes=["itslive-end"], **_WIDE
                ),
                sizing_mode="stretch_width",
            ),
            pmui.IntRangeSlider.from_param(
                filters.param.span, label="Span [days]", size="small", css_classes=["itslive-span"], **_WIDE
            ),
            self.histogram,
            LeftOutPanel(filters),
            reset,
            sizing_mode="stretch_width",
        )

    def __panel__(self) -> pmui.Column:
        return self.layout

    def _listen(self, plot: Any, _element: Any) -> None:
        """Let a brush over the histogram choose the spans; a hook."""
        listen_to_brush(plot, lambda spans: self._filters.param.update(span=spans))

    def show_pairs(self, pairs: ImagePairs, left: ImagePairs) -> None:
        """Show what there is at the active point: the spans, and of what filters leave counts by mission.

        Parameters
        ----------
        pairs : ImagePairs
            All of them.
        left : ImagePairs
            Those that all filters but that on missions leave.
        """
        if not len(pairs):
            return
        names, counts = np.unique(np.asarray(left.mission, dtype=str), return_counts=True)
        self.missions.options = self._options(dict(zip(names.tolist(), counts.tolist())))
        # The browser knows the boxes by their labels, which just changed.
        self.missions.param.trigger("value")
        self._spans.send(pairs.end - pairs.start)

    @staticmethod
    def _options(counts: dict[str, int]) -> dict[str, str]:
        return {
            f"{MISSION_LABELS[mission]}{f' ({counts[mission]:,})' if mission in counts else ''}": mission
            for mission in MISSION_COLOURS
        }


class SelectionPanel(Viewer):
    """Lists of the selected glaciers and points, each with buttons to choose and to remove it.

    Parameters
    ----------
    on_glacier : callable
        Told the glacier that should become active.
    later : callable
        Takes a name and what can wait until the picture is drawn.
    """

    def __init__(
        self,
        selection: Selection,
        on_glacier: Callable[[Any], None],
        later: Callable[[str, Callable[[], None]], None],
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self._selection = selection
        self._on_glacier = on_glacier
        self._rows: list[tuple[Any, pmui.Row]] = []
        self.layout = pmui.Column(sizing_mode="stretch_width", css_classes=["itslive-selected"])
        self._compare = pmui.Switch.from_param(
            selection.param.compare,
            label="Keep points when another is clicked (or hold shift)",
            size="small",
            css_classes=["itslive-compare"],
            **_WIDE,
        )
        selection.param.watch(lambda *_: later("selected", self.update), ["glaciers", "points"])
        self.update()

    def __panel__(self) -> pmui.Column:
        return self.layout

    def update(self) -> None:
        """Write the lists anew."""
        selection = self._selection
        listed = [("glacier", one) for one in reversed(selection.glaciers)]
        listed += [("point", one) for one in reversed(selection.points)]
        # A row stays the same object while its place or point is listed: a click on one that has been
        # replaced meanwhile would be lost. One that changes its place loses its styles in the browser, so
        # that then all are made anew.
        known = {id(one): row for one, row in self._rows}
        now = [id(one) for _, one in listed]
        if [key for key in known if key in now] != [key for key in now if key in known]:
            known = {}
        self._rows = [(one, known.get(id(one)) or self._row(kind, one)) for kind, one in listed]
        for one, row in self._rows:
            active = one is selection.glacier or one is selection.point
            row[0].color = "primary" if active else "default"
        rows: list[Any] = [row for _, row in self._rows]
        if not rows:
            rows = [
                pmui.Typography(
                    "Nothing yet. Click a glacier on the world map.",
                    variant="body2",
                    sx={"opacity": 0.75},
                    **_WIDE,
                )
            ]
        self.layout.objects = [
            *rows,
            self._compare,
        ]

    def _activate(self, point: Any) -> None:
        selection = self._selection
        selection.points = [one for one in selection.points if one is not point] + [point]

    def _row(self, kind: str, one: Any) -> pmui.Row:
        """Make the row of a glacier or of a point."""
        point = kind == "point"
        colour = one.colour if point else None
        name = pmui.Button(
            label=f"{one.number} · {one.label}" if point else one.label,
            size="small",
            variant="text",
            icon="place" if point else "landscape",
            sizing_mode="stretch_width",
            margin=(0, 0, 0, 6),
            css_classes=[f"itslive-choose-{kind}"],
            sx={"justifyContent": "flex-start", "textTransform": "none"},
        )
        if colour:
            name.sx = {**name.sx, "& .MuiButton-startIcon": {"color": colour}}
        drop = pmui.IconButton(
            icon="close",
            size="small",
            description=f"Remove {one.label}",
            margin=(0, 6, 0, 0),
            css_classes=[f"itslive-remove-{kind}"],
        )
        selection = self._selection
        choose = self._activate if point else self._on_glacier
        remove = selection.remove_point if point else selection.remove_glacier
        name.on_click(lambda _: choose(one))
        drop.on_click(lambda _: remove(one))
        return pmui.Row(name, drop, sizing_mode="stretch_width", margin=0)
