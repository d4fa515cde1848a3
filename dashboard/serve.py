"""The command `itslive-dashboard`: serves the dashboard, from a clone or an installed wheel."""

from __future__ import annotations

import argparse
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dashboard.hosting.host import Host
    from dashboard.hosting.rules import Rules

__all__ = ["main", "make_app", "make_server", "parse", "rules_of"]

_DEFAULT_PORT = 5006
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
_HEADER = 2_200_000
"""Bytes of a request's head: as long as the longest address of a browser, so that it can be cut."""


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(?i)\s*(\d+(?:\.\d+)?|\d+e\d+)\s*([KMG]?)B?\s*", text)
    if match is None or not (size := int(float(match[1]) * _UNITS[match[2].upper()])):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of bytes: write 2e9, 2G or 500M")
    return size


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 1000")
    return int(text)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="itslive-dashboard",
        description="Serve the ITS_LIVE glacier velocity dashboard.",
        epilog="examples:\n  itslive-dashboard\n  itslive-dashboard --cube cube.zarr\n"
        "  itslive-dashboard --public --address 0.0.0.0 --allow-websocket-origin ice.example.org",
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
    parser.add_argument(
        "--results",
        metavar="FOLDER",
        type=Path,
        help="where estimates of whole glaciers are kept (default: with the data of this user)",
    )
    hosting = parser.add_argument_group("for a server that strangers use (docs/hosting.md)")
    hosting.add_argument(
        "--public",
        action="store_true",
        help="no paths of this machine, only named hosts, limits for everybody",
    )
    hosting.add_argument(
        "--allow-host",
        action="append",
        metavar="HOST",
        help="with --public: one more host to read cubes from",
    )
    hosting.add_argument("--prefix", default="", metavar="PATH", help="path of the page behind a proxy: /ice")
    hosting.add_argument(
        "--use-xheaders", action="store_true", help="believe the proxy's X-Forwarded headers: only behind one"
    )
    hosting.add_argument("--num-procs", type=_count, default=1, metavar="N", help="processes (default 1)")
    hosting.add_argument(
        "--memory", type=_bytes, metavar="BYTES", help="for blocks that were read, all sessions together: 2G"
    )
    hosting.add_argument(
        "--results-quota", type=_bytes, metavar="BYTES", help="what all results may take; the oldest go first"
    )
    hosting.add_argument(
        "--results-days", type=_count, metavar="DAYS", help="after which a result is deleted"
    )
    hosting.add_argument(
        "--dask", metavar="ADDRESS|local", help="estimate whole glaciers on a Dask cluster: tcp://host:8786"
    )
    hosting.add_argument("--sessions", type=_count, metavar="N", help="people at a time")
    hosting.add_argument("--metrics", action="store_true", help="with --public: numbers at /metrics")
    hosting.add_argument("--log-json", action="store_true", help="log lines of JSON")
    hosting.add_argument("--home", help=argparse.SUPPRESS)  # this process among those of --num-procs
    return parser.parse_args(arguments)


def rules_of(options: argparse.Namespace) -> Rules:
    """Return what visitors may do."""
    from dashboard.hosting.rules import HOME, PUBLIC

    rules = PUBLIC if options.public else HOME
    given = {
        "memory": options.memory,
        "sessions": options.sessions,
        "metrics": options.metrics or None,
        "quota": options.results_quota,
        "days": options.results_days,
    }
    return replace(rules, **{name: value for name, value in given.items() if value is not None})


def make_app(options: argparse.Namespace, host: Host | None = None) -> Callable[[], Any]:
    """Return the function that makes the page of a session."""

    def app() -> Any:
        from dashboard.application import Dashboard
        from dashboard.extension import prepare

        prepare(refresh=True)
        return Dashboard(options.cube, options.outlines, demo=not options.no_demo, host=host).page()

    return app


def _problem(options: argparse.Namespace) -> str | None:
    from itslive_core.cubes.icechunk_files import split_version

    for name in ("cube", "outlines"):
        value = getattr(options, name)
        if value and "://" not in value and not Path(split_version(value)[0]).exists():
            return f"there is no {value}: give --{name} an existing path" + (
                " or a URL" if name == "cube" else ""
            )
    if options.results is not None:
        try:
            options.results.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            return f"--results {options.results}: {error.strerror or error}; name a folder of your own"
    if options.allow_host and not options.public:
        return "--allow-host is for --public: without it every host may be read"
    if options.prefix and not re.fullmatch(r"/?[\w./-]*", options.prefix):
        return f"--prefix {options.prefix!r} is no path: write letters, digits and slashes, as in /ice"
    return None


def make_server(options: argparse.Namespace, host: Host) -> Any:
    """Make the server, with its door; it listens.

    Raises
    ------
    OSError
        If the port is taken.
    """
    import panel as pn

    from dashboard.hosting.door import COMPRESSION, open_door
    from dashboard.hosting.downloads import routes
    from dashboard.hosting.watch import patterns

    secret = os.environ.get("BOKEH_SECRET_KEY", "").encode() or os.urandom(32).hex().encode()
    server = pn.serve(
        {"/": make_app(options, host)},
        port=options.port,
        address=options.address,
        websocket_origin=options.allow_websocket_origin or None,
        title="ITS_LIVE velocity",
        show=False,
        start=False,
        verbose=False,
        threaded=False,
        prefix=options.prefix,
        use_xheaders=options.use_xheaders,
        extra_patterns=[*patterns(host), *routes()],
        sign_sessions=options.public,
        secret_key=secret,
        include_cookies=[],
        include_headers=["Host", "Accept-Language"],
        websocket_compression_level=COMPRESSION,
        websocket_max_message_size=max(5_000_000, host.rules.upload * 3 // 2),
        http_server_kwargs={"max_header_size": _HEADER, "max_body_size": 1_000_000},
    )
    open_door(server, host, home=options.home)
    host.downloads = True
    return server


def _name_hosts(options: argparse.Namespace) -> None:
    """Let the core ask named hosts only, this process and those that it starts."""
    from itslive_core.support.reach import HOSTS, VARIABLE

    if options.public:
        given = os.environ.get(VARIABLE, "").split(",")
        own = [options.cube.split("/")[2]] if options.cube and "://" in options.cube else []
        os.environ[VARIABLE] = ",".join(
            dict.fromkeys([*HOSTS, *own, *(options.allow_host or []), *filter(None, given)])
        )


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
    _name_hosts(options)
    if options.log_json:
        from dashboard.hosting.watch import log_in_json

        log_in_json()
    if options.num_procs > 1:
        from dashboard.hosting.processes import serve_with

        return serve_with(options, sys.argv[1:] if arguments is None else list(arguments))
    from dashboard.extension import kernels
    from dashboard.hosting.host import Host
    from dashboard.hosting.life import run
    from dashboard.resources import one_thread_of_algebra

    host = Host(rules_of(options), options.results, options.dask)
    one_thread_of_algebra()
    kernels()  # compiled, or loaded, while the first visitor is on the way
    try:
        server = make_server(options, host)
    except OSError as error:
        problem = f"cannot listen on port {options.port} ({error.strerror}): choose another with --port"
        print(f"error: {problem}", file=sys.stderr)  # noqa: T201 - a command
        return 1
    prefix = options.prefix.strip("/")
    where = f"http://{options.address}:{server.port}/{prefix}{'/' if prefix else ''}"
    print(f"Dashboard at {where} (stop with Ctrl+C)", flush=True)  # noqa: T201 - a command
    run(server, host)
    return 0


if __name__ == "__main__":
    sys.exit(main())
