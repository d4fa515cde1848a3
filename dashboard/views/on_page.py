"""Changes of a page that are made outside of its own events."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from panel.io.document import unlocked
from panel.io.state import set_curdoc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bokeh.document import Document

__all__ = ["on_page"]


@contextmanager
def on_page(document: Any) -> Iterator[None]:
    """Make the context in which changes reach a page: its document, its messages sent together.

    Outside of an event nobody holds the lock of the document, and Bokeh refuses changes.

    Parameters
    ----------
    document : Document or None
        None, or one without a session, as in a script: nothing is done.
    """
    with ExitStack() as stack:
        if document is not None and document.session_context is not None:
            stack.enter_context(set_curdoc(document))
            stack.enter_context(unlocked())
            stack.callback(_drop_what_is_gone, document)
        yield


def _drop_what_is_gone(document: Document) -> None:
    """Take back changes of models that came and went while messages were held: the page never knew them.

    Of all values that a property had meanwhile only the last is sent. A legend's entry that was made, changed
    and replaced would be named by its change alone; a page that meets a model it does not know takes in
    nothing from there on.
    """
    callbacks = document.callbacks
    callbacks._held_events = [  # noqa: SLF001 - Bokeh has no public way to what it holds
        event
        for event in callbacks._held_events  # noqa: SLF001
        if getattr(event, "model", None) is None or event.model.document is document
    ]
