"""Whether a server gives back the memory of its visitors: waves of sessions that come, work and leave.

    python benchmarks/server_memory.py --waves 5 --sessions 10

Starts `itslive-dashboard --public`. In each wave so many visitors open a pixel by a link, move lambda some
times and leave; once the server has no session left its memory is read from `/metrics`.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.server_load import Person, pixels, start_server

MOVES = 3


def number(url: str, name: str) -> float:
    """Read a number of a server."""
    text = urllib.request.urlopen(f"{url}metrics", timeout=120).read().decode()
    found = re.search(rf"^itslive_{name} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else float("nan")


def empty(url: str) -> None:
    """Wait until a server has no session left."""
    while number(url, "sessions") > 0:
        time.sleep(2.0)


async def wave(people: list[Person]) -> None:
    """Let people come, move lambda and leave."""
    for person in people:
        await person.arrive()
    for _ in range(MOVES):
        await asyncio.gather(*(person.move() for person in people))
    for person in people:
        await person.visitor.close()


async def visit(url: str, waves: int, sessions: int) -> None:
    """Measure after each wave."""
    places = pixels(sessions)
    first = 0.0
    for count in range(1, waves + 1):
        await wave([Person(url, place, number) for number, place in enumerate(places)])
        began = time.monotonic()
        await asyncio.to_thread(empty, url)
        gone = time.monotonic() - began
        await asyncio.sleep(10.0)
        memory = (await asyncio.to_thread(number, url, "memory_bytes")) / 1e6
        first = first or memory
        print(
            f"after wave {count}: {memory:6.0f} MB, {100 * (memory / first - 1):+5.1f} % of the first;"
            f" sessions gone after {gone:.0f} s",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--waves", type=int, default=5)
    parser.add_argument("--sessions", type=int, default=10, help="in each wave")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        process, url = start_server(Path(folder) / "log.txt")
        try:
            asyncio.run(visit(url, options.waves, options.sessions))
        finally:
            process.terminate()
            process.wait(30)


if __name__ == "__main__":
    main()
