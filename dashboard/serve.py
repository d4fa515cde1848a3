"""The command `itslive-dashboard`: serves the dashboard, from a clone or an installed wheel."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["main", "make_app", "parse"]

_DEFAULT_PORT = 5006


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="itslive-dashboard",
        description="Serve the ITS_LIVE glacier velocity dashboard.",
        epilog="examples:\n  itslive-dashboard\n  itslive-dashboard --cube cube.zarr",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=_DEFAULT_PORT, help="port (default %(default)s)")
    parser.add_argument("--address", default="localhost", help="address to listen on (default %(default)s)")
    parser.add_argument(
        "--allow-websocket-origin",
        action="append",
        metavar="HOST[:PORT]",
        help="public host name; may be repeated",
    )
    parser.add_argument("--cube", metavar="PATH|URL", help="datacube to open instead of the demo")
    parser.add_argument("--outlines", metavar="FILE", help="glacier outlines to load")
    parser.add_argument("--no-demo", action="store_true", help="begin with an empty map")
    return parser.parse_args(arguments)


def make_app(options: argparse.Namespace) -> Callable[[], Any]:
    """Return the function that makes the page of a session."""

    def app() -> Any:
        from dashboard.application import Dashboard
        from dashboard.extension import prepare

        prepare(refresh=True)
        return Dashboard(options.cube, options.outlines, demo=not options.no_demo).page()

    return app


def _problem(options: argparse.Namespace) -> str | None:
    for name in ("cube", "outlines"):
        value = getattr(options, name)
        if value and "://" not in value and not Path(value).exists():
            return f"there is no {value}: give --{name} an existing path" + (
                " or a URL" if name == "cube" else ""
            )
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted.

    Returns
    -------
    int
        Exit code: 0, 1 if the port is taken, 2 for a wrong path.
    """
    options = parse(arguments)
    if problem := _problem(options):
        print(f"error: {problem}", file=sys.stderr)  # noqa: T201 - a command
        return 2
    import panel as pn

    from dashboard.extension import kernels

    kernels()  # compiled, or loaded, while the first visitor is on the way
    origins = options.allow_websocket_origin or None
    try:
        server = pn.serve(
            {"/": make_app(options)},
            port=options.port,
            address=options.address,
            websocket_origin=origins,
            title="ITS_LIVE velocity",
            show=False,
            start=False,
            verbose=False,
            threaded=False,
        )
    except OSError as error:
        problem = f"cannot listen on port {options.port} ({error.strerror}): choose another with --port"
        print(f"error: {problem}", file=sys.stderr)  # noqa: T201 - a command
        return 1
    where = f"http://{options.address}:{server.port}/"
    print(f"Dashboard at {where} (stop with Ctrl+C)", flush=True)  # noqa: T201 - a command
    with suppress(KeyboardInterrupt):
        server.run_until_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
