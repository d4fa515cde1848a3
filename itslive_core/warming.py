"""Compiling or loading the kernels before somebody waits for them, stage by stage, in the order of need.

Kernels are compiled once for each version of the package and kind of processor, and kept on disk. A server
lets another process compile them while it answers already: compiling in its own would hold up the page, and
leave it with the compiler's memory.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections import deque
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from itslive_core.estimators import all_estimators
from itslive_core.observations.pairs import ImagePairs
from itslive_core.support.compiled import compiled_for, kernel_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["FIRST_STAGES", "KernelStages", "warm_up"]

_LOG = logging.getLogger(__name__)
_ASK_EVERY = 0.2
"""Time after which who waits asks whether to go on [s]."""


def _toy_pairs() -> ImagePairs:
    """Make pairs that take every way through the code: enough of them, and images whose noise they share."""
    import numpy as np

    rng = np.random.default_rng(0)
    dates = np.sort(rng.uniform(0.0, 1000.0, 130))
    first, later = (rows.ravel() for rows in np.broadcast_arrays(np.arange(125)[:, None], np.arange(1, 5)))
    noise = 20.0 * rng.standard_normal((2, len(dates)))
    vx, vy = 100.0 + noise[:, first] + rng.standard_normal((2, len(first)))
    return ImagePairs.from_arrays(dates[first], dates[first + later], vx, vy - 50.0)


def _read() -> None:
    import numpy as np

    from itslive_core.observations.blocks import (
        Block,
        PixelBlock,
        gather_chunk,
        median_velocity,
        merge_chunks,
    )
    from itslive_core.observations.duplicates import Twins

    marker = np.array([-32767, -32767], dtype=np.int16)
    chunk = np.full((4, 4), 7, dtype=np.int16)
    counts, layers, vx, vy, partial = gather_chunk(chunk, chunk, 0, marker, marker)
    offsets = np.concatenate(([0], np.cumsum(counts)))
    merge_chunks(counts[None, :], offsets, layers, np.empty_like(layers), 0)
    pixels = PixelBlock(Block(0, 2, 0, 2), offsets, layers, vx, vy, partial)
    twins = Twins(np.zeros(4, dtype=np.int32), np.arange(4, dtype=np.int32), 1)
    median_velocity(pixels.keep(np.ones(4, dtype=bool)).distinct(twins))


def _season() -> None:
    from itslive_core.season.point import fit_season

    fit_season(_toy_pairs())


def _neighbours() -> None:
    """Couple two pixels with the same pairs."""
    import numpy as np

    from itslive_core.bands.spans import Spans
    from itslive_core.neighbours.coupled import CoupledPixels
    from itslive_core.neighbours.equations import Observed
    from itslive_core.observations.shared_pairs import SharedPairs
    from itslive_core.observations.time_grid import TimeGrid

    pairs = _toy_pairs()
    n = len(pairs)
    grid = TimeGrid.covering(pairs.start, pairs.end, 48.0)
    shared = SharedPairs.make(pairs, np.ones(n, dtype=bool), grid)
    vx, vy, weights = (np.tile(values, 2) for values in (pairs.vx, pairs.vy, np.ones(n)))
    pair = np.tile(np.arange(n, dtype=np.int32), 2)
    two = CoupledPixels.make(
        grid,
        Observed(Spans(*shared.operator.columns), np.array([0, n, 2 * n]), pair, vx, vy, weights),
        derivative=2,
        smoothing=np.full(2, 100.0),
        profile=None,
        values=np.zeros((2, 2, grid.size)),
        neighbours=np.array([[1, -1, -1, -1], [0, -1, -1, -1]]),
        red=np.array([True, False]),
    )
    held = np.arange(n) % 5 == 0
    two.score(two.without(held).solve(0.1).flat, held)
    two.variance_ratio(0.1, np.arange(2))
    two.residual_products()


def _stages() -> dict[str, Callable[[], None]]:
    """Tell what needs kernels, in the order in which somebody is likely to wait for it."""
    series = {one.name: partial(one.warm_up, _toy_pairs()) for one in all_estimators()}
    return {"reading": _read, **series, "season": _season, "neighbours": _neighbours}


FIRST_STAGES = ("reading", "inversion")
"""What whoever opens the dashboard needs; the others are compiled when they are asked for."""


def warm_up(*stages: str) -> None:
    """Run kernels once on a toy problem: what was never compiled on this machine is, the rest is loaded.

    Parameters
    ----------
    *stages : str
        ``"reading"``, the name of an estimator, ``"season"``, ``"neighbours"``; all of them if none is named.
        What they take is told in docs/architecture.md; later processes load them.

    Raises
    ------
    ValueError
        If there is no such stage.
    """
    known = _stages()
    if unknown := set(stages) - set(known):
        raise ValueError(f"no stage of kernels is called {min(unknown)!r}: there are {', '.join(known)}")
    for stage in stages or tuple(known):
        known[stage]()
        if (sign := _sign(stage)) is not None:
            sign.touch()


def _sign(stage: str) -> Path | None:
    """Return the file that tells that a stage is compiled for this machine; None without a cache."""
    folder = kernel_folder()
    return Path(folder) / f"{stage}.{compiled_for()}.ready" if folder else None


class KernelStages:
    """The kernels of a server: compiled by another process where they must be, then loaded into this one.

    One thread does all, so that nothing is compiled twice.

    Parameters
    ----------
    stages : sequence of str
        What to begin with.
    """

    def __init__(self, stages: Sequence[str] = FIRST_STAGES) -> None:
        self._changed = threading.Condition()
        self._ready: set[str] = set()
        self._waiting: deque[str] = deque()
        self._works = False
        self._ask(stages, urgent=False)

    def ready(self, stages: Iterable[str]) -> bool:
        """Whether nobody needs to wait for these."""
        with self._changed:
            return self._ready.issuperset(stages)

    def wait(self, stages: Sequence[str], should_stop: Callable[[], bool] = lambda: False) -> None:
        """Wait until kernels are there, and have them made if nobody has yet.

        Where they cannot be made beforehand this returns too, and whoever calls them compiles them.

        Parameters
        ----------
        stages : sequence of str
            As for `warm_up`.
        should_stop : callable
            Asked now and then; once true, the wait is over.
        """
        self._ask(stages, urgent=True)
        with self._changed:
            while not self._ready.issuperset(stages) and not should_stop():
                self._changed.wait(_ASK_EVERY)

    def _ask(self, stages: Sequence[str], *, urgent: bool) -> None:
        with self._changed:
            missing = [name for name in stages if name not in self._ready]
            if urgent:
                self._waiting = deque([*missing, *(name for name in self._waiting if name not in missing)])
            else:
                self._waiting.extend(missing)
            if self._waiting and not self._works:
                self._works = True
                threading.Thread(target=self._work, name="itslive-kernels", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._changed:
                left = [name for name in self._waiting if name not in self._ready]
                if not left:
                    self._waiting.clear()
                    self._works = False
                    return
                stage = left[0]
            try:
                sign = _sign(stage)
                if sign is not None and not sign.exists():
                    _compile_elsewhere(stage)
                if sign is not None and sign.exists():
                    warm_up(stage)
            except Exception:  # noqa: BLE001 - whoever needs the kernels will compile them, and say what is wrong
                _LOG.exception("could not prepare the kernels of %r beforehand", stage)
            with self._changed:
                self._ready.add(stage)
                self._changed.notify_all()


def _compile_elsewhere(stage: str) -> None:
    """Let another process compile a stage."""
    command = [sys.executable, "-c", f"from itslive_core import warm_up; warm_up({stage!r})"]
    # Served from a clone, the package is not installed: the other process must find it too.
    here = str(Path(__file__).parents[1])
    paths = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.run(  # noqa: S603 - a command of our own
        command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    if run.returncode != 0:
        _LOG.warning("compiling %r beforehand failed: %s", stage, run.stderr.strip().rpartition("\n")[2])
