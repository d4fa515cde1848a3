"""Changes of a page that are made outside of its own events."""

from __future__ import annotations

from types import SimpleNamespace

from bokeh.document import Document
from bokeh.models import Legend, LegendItem

from dashboard.views.on_page import on_page


def test_a_model_that_came_and_went_is_not_spoken_of():
    document = Document()
    kept, brief = LegendItem(label="kept"), LegendItem(label="brief")
    legend = Legend(items=[])
    document.add_root(legend)
    context = SimpleNamespace(session=None)
    document._session_context = lambda: context
    document.hold("combine")
    with on_page(document):
        legend.items = [brief]
        brief.visible = False
        legend.items = [kept]
        kept.visible = False
        legend.title = "Lines"
    told = [(event.model, event.attr) for event in document.callbacks._held_events]
    assert told == [(legend, "items"), (kept, "visible"), (legend, "title")]


def test_without_a_page_nothing_is_done():
    with on_page(None):
        pass
    document = Document()
    document.add_root(legend := Legend())
    document.hold("combine")
    with on_page(document):
        legend.title = "Lines"
    assert [event.attr for event in document.callbacks._held_events] == ["title"]
