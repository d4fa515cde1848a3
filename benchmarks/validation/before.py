"""Measure the estimates of an earlier version on the kinds of truth, once and for all.

    python -m benchmarks.validation.before CUBE --core ../before --commit d33c4c4 [--truths 10] [--gp 3]

``--core`` is a working tree of that version: its itslive_core is measured, on truths simulated here. The
errors go to before.json beside this module, which `benchmarks.validation.families` reads. Dates of
acquisitions are those of the cube: with another, the page leaves the ratios out. What the file holds of these
acquisitions is kept: delete it for another version, or when truths have changed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from truths import Acquisitions

__all__ = ["Before", "fingerprint", "read_before"]

ESTIMATES = ("inversion", "gaussian_process")
FILE = Path(__file__).with_name("before.json")


@dataclass(frozen=True)
class Before:
    """Root mean square errors of an earlier version [m/yr].

    Parameters
    ----------
    commit : str
    inversion, gaussian_process : dict of list of float
        By kind of truth, in the order of seeds.
    """

    commit: str
    inversion: dict[str, list[float]]
    gaussian_process: dict[str, list[float]]


def fingerprint(pixels: Sequence[Acquisitions]) -> list[int]:
    """Say of which acquisitions the errors are: numbers of pairs."""
    return [len(at.start) for at in pixels]


def read_before(pixels: Sequence[Acquisitions]) -> Before | None:
    """Read what was measured; None where there is nothing for these acquisitions."""
    if not FILE.exists():
        return None
    kept = json.loads(FILE.read_text(encoding="utf-8"))
    if kept["pairs"] != fingerprint(pixels):
        return None
    return Before(kept["commit"], kept["inversion"], kept["gaussian_process"])


def main() -> None:
    """Measure what the file does not hold yet, and write it after every seed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.validation.before",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cube", help="a cube of ITS_LIVE image pairs")
    parser.add_argument("--core", type=Path, required=True, help="a working tree of the earlier version")
    parser.add_argument("--commit", required=True, help="which version that is")
    parser.add_argument("--truths", type=int, default=10, help="of each kind, for the inversion")
    parser.add_argument("--gp", type=int, default=3, help="of each kind, for the Gaussian process")
    options = parser.parse_args()
    sys.path.insert(0, str(options.core.resolve()))

    import itslive_core as itslive
    from benchmarks.validation.kinds import KINDS, simulate_kind
    from benchmarks.validation.pixels import acquisitions_of, choose_pixels
    from benchmarks.validation.scores import score

    print(f"measuring {itslive.__file__}")
    begin = time.monotonic()
    pixels = acquisitions_of(choose_pixels(itslive.open_cube(options.cube)))
    kept = read_before(pixels)
    known = {"inversion": {}, "gaussian_process": {}} if kept is None else asdict(kept)
    errors = {name: {kind: known[name].get(kind, []) for kind in KINDS} for name in ESTIMATES}
    runs = [("inversion", itslive.invert, seed) for seed in range(options.truths)]
    runs += [("gaussian_process", itslive.fit_gaussian_process, seed) for seed in range(options.gp)]
    for name, fit, seed in sorted(runs, key=lambda run: run[2]):
        for kind in KINDS:
            if len(errors[name][kind]) > seed:
                continue
            simulation = simulate_kind(pixels, kind, seed)
            error = score(fit(simulation.pairs), simulation).rmse
            errors[name][kind].append(float(f"{error:.5g}"))
        record = {"commit": options.commit, "pairs": fingerprint(pixels), **errors}
        FILE.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        print(f"{name} {seed} after {time.monotonic() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
