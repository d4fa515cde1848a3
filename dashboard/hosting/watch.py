"""What a server tells those who run it: whether it is well, how busy it is, and what it did."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from tornado.web import RequestHandler

from dashboard.hosting.door import sessions_of
from dashboard.hosting.secrets import hidden
from dashboard.hosting.tally import exposition

if TYPE_CHECKING:
    from dashboard.hosting.host import Host

__all__ = ["JsonLines", "gauges", "log_in_json", "patterns"]

_STARTED = time.time()


class _Health(RequestHandler):
    """Says that the server answers: its event loop turns."""

    def get(self) -> None:
        """Answer."""
        host: Host = self.application.settings["itslive_host"]
        self.set_header("Cache-Control", "no-store")
        self.set_header("Content-Type", "application/json")
        if host.closing:
            self.set_status(503)
        self.finish(json.dumps({"status": "closing" if host.closing else "ok"}))

    head = get


class _Metrics(RequestHandler):
    """Gives the numbers of this process in the text format of Prometheus."""

    def get(self) -> None:
        """Answer."""
        host: Host = self.application.settings["itslive_host"]
        self.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.finish(exposition(gauges(host, self.application), host.tally))


def patterns(host: Host) -> list[tuple[str, type[RequestHandler]]]:
    """Return the routes of these pages; the numbers are not for visitors of a public server."""
    routes: list[tuple[str, type[RequestHandler]]] = [("/health", _Health)]
    return routes if host.rules.public and not host.rules.metrics else [*routes, ("/metrics", _Metrics)]


def gauges(host: Host, application: Any) -> dict[str, float]:
    """Measure what is going on."""
    return {
        "up_seconds": time.time() - _STARTED,
        "sessions": sessions_of(application),
        "sessions_limit": host.rules.sessions,
        "jobs_working": sum(guest.working for guest in host.guests),
        "glaciers_working": host.glaciers.working,
        "glaciers_waiting": host.glaciers.waiting,
        "memory_bytes": _memory(),
        "cache_bytes": host.blocks.size,
        "cache_limit_bytes": host.blocks.limit,
        "loop_lag_seconds": host.lag,
    }


def _memory() -> float:
    """Memory of this process that is in use [bytes]; where the system does not say, the most there was."""
    try:
        with open("/proc/self/statm") as file:  # noqa: PTH123 - no path of a user
            return float(int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    except OSError:
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return float(most if sys.platform == "darwin" else 1024 * most)


class JsonLines(logging.Formatter):
    """Writes each record as one line of JSON, without passwords and keys in addresses."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "name": record.name,
            "message": hidden(record.getMessage()),
        }
        if record.exc_info:
            line["error"] = hidden(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def log_in_json(level: int = logging.INFO) -> None:
    """Write everything that is logged to stderr in lines of JSON."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in ("bokeh", "tornado.access", "panel", "distributed", "numba", "botocore"):
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))
