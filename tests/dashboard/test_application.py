"""The whole way from the demo to a series, without a browser."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.application import Dashboard
from dashboard.extension import prepare
from tests import waiting


@pytest.fixture(scope="module", autouse=True)
def extension():
    prepare()


def test_whole_way_without_a_browser():
    """Demo, glacier, pixel, refit: driven by hand, as in a script without an event loop."""
    import time

    app = Dashboard(example="synthetic", begin="map")
    app.start()

    def until(condition):
        def drive():
            app.session.runner.drain()
            app.session.runner.catch_up()
            time.sleep(0.01)

        waiting.until(condition, usual=60, between=drive, what=lambda: app.session.messages.text)

    until(lambda: app.session.selection.known)
    glacier = app.session.selection.known[0]
    app.places.search(glacier.label)
    until(lambda: app.area.canvas is not None and np.isfinite(app.area.canvas.median).any())
    here = glacier.outline_in(app.area.cubes[0].crs).representative_point()
    app.session.selection.compare = True
    app._click_glacier(here.x, here.y)
    app._click_glacier(here.x + 600, here.y)
    until(
        lambda: len(app.series.fits) == 2 and all(fit.series is not None for fit in app.series.fits.values())
    )
    first = app.series.fit.series
    app.session.settings.param.update(auto_smoothing=False, log_smoothing=5.0)
    until(lambda: app.series.fit.series is not first)
    app._click_glacier(0.0, 0.0)
    assert app.session.messages.severity == "error"
    app.session.selection.points = []
    assert app.series.fits == {}
    app.close()
