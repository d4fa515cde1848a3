"""Whether jobs survive: killed at random moments and started again, and many started at once on one store.

    python benchmarks/kill_resume.py [--kills 50] [--starts 50] [--seed 0]

Each job is done once in peace on a small box of the demo, which tells how long it takes. Then it is started
again and again and killed (SIGKILL) after a random part of that time, each time in a new folder, and the same
command finishes it. The result must hold the same values as the one that nobody disturbed, and nothing else
may be left beside it. At last many processes are started at once on one store.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from itslive_core.demo import DEMO_POINTS, demo_path
from itslive_core.export.differences import differences_of

ITSLIVE = [sys.executable, "-c", "from itslive_core.cli import main; main()"]
BOX = ["--bbox", "-50.14", "69.308", "-50.115", "69.3155", "--start", "2019", "--workers", "1", "-q"]


@dataclass(frozen=True)
class Job:
    """A command without the name of its result, and the ending of that."""

    name: str
    command: tuple[str, ...]
    ending: str


def jobs(cube: str, points: str) -> list[Job]:
    """List the jobs that are killed."""
    return [
        Job("automatic smoothing", ("invert", cube, *BOX), ".zarr"),
        Job("neighbours", ("invert", cube, *BOX, "--spatial-smoothing", "0.3"), ".zarr"),
        Job("Gaussian process", ("gp", cube, *BOX, "--interval", "24"), ".zarr"),
        Job("area as NetCDF", ("median", cube, *BOX), ".nc"),
        Job("points as CSV", ("invert", cube, "--points", points, "--smoothing", "30", "-q"), ".csv"),
    ]


def start(job: Job, folder: Path) -> subprocess.Popen[str]:
    """Start a job in a folder, with a cache of its own for what is kept of points."""
    command = [*ITSLIVE, *job.command, "-o", f"out{job.ending}"]
    environment = {**os.environ, "ITSLIVE_CACHE": str(folder / "cache")}
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def finish(job: Job, folder: Path) -> str:
    """Do a job to its end; returns what went wrong, or nothing."""
    process = start(job, folder)
    _, stderr = process.communicate()
    return "" if process.returncode == 0 else f"exit code {process.returncode}: {stderr.strip()}"


def killed(job: Job, expected: Path, after: float, folder: Path) -> str:
    """Kill a job, finish it, and compare; returns what is wrong, or nothing."""
    process = start(job, folder)
    try:
        process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    wrong = finish(job, folder)
    if wrong:
        return wrong
    out = folder / f"out{job.ending}"
    differ = differences_of(expected, out)
    known = {out.name, f"{out.name}.recipe.json", "cache"}
    left = sorted(path.name for path in folder.iterdir() if path.name not in known)
    left += [path.name for path in folder.glob("cache/points/*")]
    return "; ".join([*differ, *(f"{name} is left" for name in left)])


def together(job: Job, expected: Path, number: int, folder: Path) -> tuple[int, int, str]:
    """Start many at once; returns how many finished, how many were refused, and what is wrong."""
    processes = [start(job, folder) for _ in range(number)]
    said = [process.communicate()[1] for process in processes]
    done = sum(process.returncode == 0 for process in processes)
    refused = sum("is being filled by process" in words for words in said)
    wrong = finish(job, folder) or "; ".join(differences_of(expected, folder / f"out{job.ending}"))
    if done + refused < number:
        wrong += f"; {number - done - refused} ended otherwise"
    return done, refused, wrong


def main() -> None:
    """Run all and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50, help="of each job")
    parser.add_argument("--starts", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    demo = demo_path()
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        trunk = DEMO_POINTS["trunk"]
        rows = [f"{trunk.lon - 0.001 * k},{trunk.lat + 0.0004 * (k % 7)}" for k in range(60)]
        points = base / "places.csv"
        points.write_text("\n".join(["lon,lat", *rows]))
        todo = jobs(str(demo.cubes[0]), str(points))
        print("job | alone [s] | killed | identical | first that was not")
        for job in todo:
            alone = base / f"alone {job.name}"
            alone.mkdir()
            finish(job, alone)  # kernels are compiled
            (alone / f"out{job.ending}").rename(alone / f"first{job.ending}")
            begin = time.monotonic()
            wrong = finish(job, alone)
            took = time.monotonic() - begin
            if wrong:
                raise SystemExit(f"{job.name}: {wrong}")
            expected = alone / f"out{job.ending}"
            found = []
            for number in range(options.kills):
                folder = base / f"{job.name} {number}"
                folder.mkdir()
                found.append(killed(job, expected, rng.uniform(0.0, took), folder))
            good = sum(not one for one in found)
            first = next((one for one in found if one), "")
            print(f"{job.name} | {took:.1f} | {len(found)} | {good} | {first}", flush=True)
        job, folder = todo[0], base / "together"
        folder.mkdir()
        expected = base / f"alone {job.name}" / f"out{job.ending}"
        done, refused, wrong = together(job, expected, options.starts, folder)
        state = wrong or "the store is whole"
        print(f"{options.starts} at once: {done} finished, {refused} were refused; {state}")


if __name__ == "__main__":
    main()
