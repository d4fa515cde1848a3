"""Spatial smoothing in a glacier job: blocks around a block, solved once and kept for the next."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.bands.algebra import PAD
from itslive_core.errors import ItsliveError
from itslive_core.inversion.prepare import pixels_at_once
from itslive_core.neighbours.coupled import TOLERANCE
from itslive_core.neighbours.patches import (
    Patch,
    PixelFits,
    choose_coupling,
    couple,
    fit_blocks,
    neighbour_correlation,
)
from itslive_core.observations.blocks import Block

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from itslive_core.cubes.datacube import Datacube
    from itslive_core.inversion.settings import InversionSettings
    from itslive_core.inversion.solver import BatchResult
    from itslive_core.jobs.joined_cube import JoinedCube
    from itslive_core.jobs.tasks import BlockTask
    from itslive_core.observations.blocks import PixelBlock
    from itslive_core.observations.shared_pairs import SharedPairs

__all__ = ["CoupledBlocks", "apply_choice", "choose_for_job", "halo_for"]

_LEAST_HALO, _HALO_PER_MU, _MOST_HALO = 12, 40.0, 24
"""Pixels around a block that are solved with it: strong coupling reaches further."""
_SAMPLES = 3
"""Blocks on which a job chooses its coupling."""
_KEPT = 2e9
"""Memory for the estimates of blocks that others will need again [bytes]."""
_GROUP_MEMORY = 4e9
"""Memory for pixels that are solved together [bytes]."""
_SERIES, _OF_PAIR = 20, 70
"""What a pixel takes beside its factor: so many series, and so many bytes for each pair."""
_SHARE_OF_PAIRS = 0.2
"""Share of the pairs that a pixel has, where that is not known."""


@dataclass(eq=False)
class CoupledBlocks:
    """The blocks of one cube, coupled to the pixels around them.

    Parameters
    ----------
    cube : Datacube or JoinedCube
    tasks : sequence of BlockTask
        The blocks of this cube; pixels outside their masks do not count as neighbours.
    settings : InversionSettings
    mu, correlation : float
        Coupling, and correlation of the noise of neighbours; set by `choose_for_job`.
    """

    cube: Datacube | JoinedCube
    tasks: Sequence[BlockTask]
    settings: InversionSettings
    mu: float = np.nan
    correlation: float = 0.0
    _fits: OrderedDict[Block, PixelFits] = field(default_factory=OrderedDict, repr=False)
    _left_out: set[Block] = field(default_factory=set, repr=False)
    _locks: dict[Block, threading.Lock] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what another process makes for itself."""
        return {k: v for k, v in self.__dict__.items() if not k.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start without estimates."""
        self.__dict__.update(state, _fits=OrderedDict(), _left_out=set(), _locks={}, _lock=threading.Lock())

    def fit(
        self,
        tasks: Sequence[BlockTask],
        shared: SharedPairs,
        mask: NDArray[np.bool_],
        read: Mapping[Block, PixelBlock] | None = None,
    ) -> list[PixelFits]:
        """Give the uncoupled estimates of blocks, from memory if they are there.

        Parameters
        ----------
        tasks : sequence of BlockTask
        shared : SharedPairs
        mask : ndarray of bool
            Rows of the cube's pair table that pass the filters on metadata.
        read : mapping of PixelBlock, optional
            Observations that are at hand.
        """
        out = dict[Block, PixelFits]()
        at_once = pixels_at_once(shared, self.settings)
        for some in _runs(sorted(tasks, key=lambda task: (task.block.row0, task.block.col0)), at_once):
            with self._lock:
                locks = [self._locks.setdefault(task.block, threading.Lock()) for task in some]
            with ExitStack() as held:
                for own in locks:  # whoever comes second waits for the first instead of solving again
                    held.enter_context(own)
                out |= self._fit(some, shared, mask, read or {})
        return [out[task.block] for task in tasks]

    def _fit(
        self,
        tasks: Sequence[BlockTask],
        shared: SharedPairs,
        mask: NDArray[np.bool_],
        read: Mapping[Block, PixelBlock],
    ) -> dict[Block, PixelFits]:
        """Do the work of `fit` for blocks that nobody else works on."""
        with self._lock:
            out = {task.block: self._fits[task.block] for task in tasks if task.block in self._fits}
            for block in out:
                self._fits.move_to_end(block)
        missing = [task for task in tasks if task.block not in out]
        if not missing:
            return out
        pixels = [
            read[task.block] if task.block in read else self.cube.read_block(task.block).keep(mask, task.mask)
            for task in missing
        ]
        for found in fit_blocks(pixels, shared, self.settings):
            out[found.block] = found
            with self._lock:
                self._fits[found.block] = found
                while len(self._fits) > 1 and sum(fit.nbytes for fit in self._fits.values()) > _KEPT:
                    self._fits.popitem(last=False)
        return out

    def leave_out(self, block: Block) -> None:
        """Do without a block that cannot be read or estimated: its pixels count as without an estimate."""
        with self._lock:
            self._left_out.add(block)

    def reach(self, tasks: Sequence[BlockTask]) -> list[BlockTask]:
        """List the blocks that are solved together with some of them.

        Parameters
        ----------
        tasks : sequence of BlockTask

        Returns
        -------
        list of BlockTask
            These, and those around, but for blocks around that were left out.
        """
        if self.mu == 0.0:
            return list(tasks)
        window, own = self._window(tasks), {task.block for task in tasks}
        near = [task for task in self.tasks if _meet(task.block, window)]
        # What could not be read for others may be read in its own turn.
        return [task for task in near if task.block in own or task.block not in self._left_out]

    def solve(
        self, tasks: Sequence[BlockTask], shared: SharedPairs, fits: Sequence[PixelFits], *, threads: int = 1
    ) -> list[tuple[BatchResult, PixelFits]]:
        """Give the coupled estimates of neighbouring blocks, and those of each pixel for itself.

        Parameters
        ----------
        tasks : sequence of BlockTask
        shared : SharedPairs
        fits : sequence of PixelFits
            Of the blocks that `reach` lists.
        threads : int
            How many may work on one problem.

        Raises
        ------
        ItsliveError
            If the coupled problem cannot be solved.
        """
        of_block = {fit.block: fit for fit in fits}
        cores = [of_block[task.block] for task in tasks]
        if self.mu == 0.0:
            return [(core.result, core) for core in cores]
        patch = Patch.join(fits, self._window(tasks), shared, self.settings)
        coupled = couple(
            patch, cores, self.mu, self.correlation, uncertainty=self.settings.uncertainty, threads=threads
        )
        return [
            (replace(core.result, values=values, std=std), core)
            for core, (values, std) in zip(cores, coupled, strict=True)
        ]

    def group_side(self, shared: SharedPairs, *, whole: bool) -> int:
        """Give the side of the squares of pixels that are solved together [pixels].

        Pixels around a square are solved with it and thrown away: the larger it is, the less is wasted.

        Parameters
        ----------
        shared : SharedPairs
        whole : bool
            As large as memory allows; else as wide as what is solved around it on both sides.
        """
        if self.mu == 0.0:
            return 1
        halo = halo_for(self.mu)
        if not whole:
            return 2 * halo
        pixels = _GROUP_MEMORY / self._bytes_of_pixel(shared)
        if sum(int(task.mask.sum()) for task in self.tasks) <= pixels:
            return 2 * max(self.cube.shape)
        return max(int(np.sqrt(pixels)) - 2 * halo, 1)

    def _bytes_of_pixel(self, shared: SharedPairs) -> float:
        """Estimate what a pixel takes while it is solved with others, from blocks that are estimated."""
        with self._lock:
            known = [float(fit.used.mean()) for fit in self._fits.values()]
        pairs = max(known) if known else _SHARE_OF_PAIRS * len(shared.start)
        width = max(shared.operator.bandwidth, self.settings.derivative) + 1 + PAD
        return 8.0 * shared.grid.size * (width + _SERIES) + _OF_PAIR * pairs

    def _window(self, tasks: Sequence[BlockTask]) -> Block:
        (ny, nx), halo = self.cube.shape, halo_for(self.mu)
        return Block(
            max(min(task.block.row0 for task in tasks) - halo, 0),
            min(max(task.block.row1 for task in tasks) + halo, ny),
            max(min(task.block.col0 for task in tasks) - halo, 0),
            min(max(task.block.col1 for task in tasks) + halo, nx),
        )


def halo_for(mu: float) -> int:
    """Give the number of pixels around a block that are solved with it.

    With it, blocks differ from the whole area solved at once by less than 1 % of the standard deviation
    (``benchmarks/spatial.py`` measures it).

    Parameters
    ----------
    mu : float
    """
    return min(_LEAST_HALO + int(np.ceil(_HALO_PER_MU * mu)), _MOST_HALO)


def choose_for_job(
    blocks: Sequence[CoupledBlocks],
    pairs: Sequence[tuple[SharedPairs, NDArray[np.bool_]]],
    tasks: Sequence[BlockTask],
    threads: int = 1,
) -> dict[str, Any]:
    """Choose the coupling of a job, one for all blocks, and learn the correlation of neighbours' noise.

    Parameters
    ----------
    blocks : sequence of CoupledBlocks
        One for each cube; receive the result.
    pairs : sequence of (SharedPairs, ndarray of bool)
        Of each cube.
    tasks : sequence of BlockTask
        Of the job.
    threads : int
        How many may work on it.

    Returns
    -------
    dict
        Attributes that say what was chosen, how far around a block the problem reaches, and at which
        relative residual the iterations stop.

    Raises
    ------
    ItsliveError
        If none of the blocks to choose on can be read.
    """
    wanted = blocks[0].settings.spatial_smoothing

    def sample(task: BlockTask) -> Patch | ItsliveError:
        own, (shared, mask) = blocks[task.cube], pairs[task.cube]
        try:
            fits = own.fit([task], shared, mask)
        except ItsliveError as error:  # the job names the block when its turn comes, and goes on
            return error
        return Patch.join(fits, task.block, shared, own.settings)

    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(sample, _samples(tasks)))
    patches = [patch for patch in found if isinstance(patch, Patch)]
    failures = [error for error in found if isinstance(error, ItsliveError)]
    if failures and not patches:
        raise failures[-1]
    mu = choose_coupling(patches, threads) if isinstance(wanted, str) else wanted
    correlation = neighbour_correlation(patches)
    chosen = {
        "spatial_smoothing_used": float(mu),
        "spatial_noise_correlation": round(correlation, 4),
        "spatial_halo": halo_for(mu),
        "spatial_residual": TOLERANCE,
    }
    apply_choice(blocks, chosen)
    return chosen


def apply_choice(blocks: Sequence[CoupledBlocks], found: Mapping[str, Any]) -> None:
    """Use what was chosen before.

    Parameters
    ----------
    blocks : sequence of CoupledBlocks
        Of the job.
    found : mapping
        The attributes that `choose_for_job` gave.
    """
    for own in blocks:
        own.mu = float(found["spatial_smoothing_used"])
        own.correlation = float(found["spatial_noise_correlation"])


def _samples(tasks: Sequence[BlockTask]) -> list[BlockTask]:
    """Pick a few blocks with many pixels, spread over the area."""
    sizes = np.array([task.mask.sum() for task in tasks])
    full = np.flatnonzero(sizes >= 0.7 * sizes.max())
    places = (np.arange(_SAMPLES) + 0.5) / _SAMPLES * len(full)
    return [tasks[full[i]] for i in np.unique(places.astype(int))]


def _meet(block: Block, window: Block) -> bool:
    return (
        block.row0 < window.row1
        and window.row0 < block.row1
        and block.col0 < window.col1
        and window.col0 < block.col1
    )


def _runs(tasks: Sequence[BlockTask], pixels: int) -> Iterator[list[BlockTask]]:
    """Cut blocks into runs of at least so many wanted pixels; the last one may have fewer."""
    run: list[BlockTask] = []
    held = 0
    for task in tasks:
        run.append(task)
        held += int(task.mask.sum())
        if held >= pixels:
            yield run
            run, held = [], 0
    if run:
        yield run
