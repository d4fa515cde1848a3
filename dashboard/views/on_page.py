"""Changes of a page that are made outside of its own events."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from panel.io.document import unlocked
from panel.io.state import set_curdoc

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        yield
