"""The page of a public server: when the server goes and another comes, and for links that are not kind."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from support import Screen

from itslive_core import Glacier
from itslive_core.demo import demo_path
from tests.waiting import milliseconds

pytestmark = pytest.mark.browser

INTERVAL = ".itslive-interval"


@pytest.fixture
def visit(browser, public_server):
    """Open a page of the public server."""
    contexts = []

    def make(query: str = "") -> Screen:
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        context.set_default_timeout(milliseconds(60))
        contexts.append(context)
        screen = Screen(context.new_page(), public_server.url + query)
        screen.page.goto(screen.url)
        return screen

    yield make
    for context in contexts:
        context.close()


def test_the_page_comes_back_as_it_was(visit, public_server):
    here = Glacier.list_from_file(demo_path().outlines)[0].outline.representative_point()
    screen = visit(f"?example=synthetic&lambda=30&h=24&lon={here.x:.5f}&lat={here.y:.5f}")

    def shows_the_series() -> bool:
        return screen.has_figure("itslive-series") and len(screen.curve()) > 10

    screen.wait(shows_the_series, usual=90, what="the series of the link is drawn")
    before = screen.curve()
    assert public_server.stop() == 0
    note = screen.page.locator(".itslive-lost")
    note.wait_for()
    assert "The connection was lost" in note.inner_text()
    public_server.start()
    screen.page.mouse.move(300, 300)
    screen.wait(
        lambda: screen.page.locator(".itslive-lost").count() == 0, usual=90, what="the page comes back"
    )
    screen.wait(shows_the_series, usual=90, what="the series is drawn again")
    assert screen.curve() == pytest.approx(before, nan_ok=True)
    assert "lambda=30" in screen.page.url
    assert "h=24" in screen.page.url


def test_links_of_strangers_do_no_harm(visit):
    picture = "![x](http://localhost:9/x.png)"
    screen = visit(
        f"?cube={quote('https://me:tulip@localhost:9/' + picture)}&lon=-50&lat=69.3&lambda=" + "9" * 30_000
    )
    screen.wait(screen.message, usual=90, what="a message")
    assert "tulip" not in screen.message()
    assert "this server reads from" in screen.message()
    assert screen.page.locator(".itslive-message img").count() == 0
    assert not screen.foreign
