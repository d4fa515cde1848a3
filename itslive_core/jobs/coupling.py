"""Spatial smoothing in a glacier job: blocks around a block, solved once and kept for the next."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.blocks import Block
from itslive_core.errors import ItsliveError
from itslive_core.estimators.spatial import (
    Patch,
    PixelFits,
    choose_coupling,
    couple,
    fit_pixels,
    neighbour_correlation,
)
from itslive_core.solvers.coupled import TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from itslive_core.blocks import PixelBlock
    from itslive_core.datacube import Datacube
    from itslive_core.estimators.prepare import SharedPairs
    from itslive_core.estimators.settings import InversionSettings
    from itslive_core.jobs.plan import BlockTask
    from itslive_core.solvers.base import BatchResult

__all__ = ["CoupledBlocks", "apply_choice", "choose_for_job", "halo_for"]

_LEAST_HALO, _HALO_PER_MU, _MOST_HALO = 12, 40.0, 24
"""Pixels around a block that are solved with it: strong coupling reaches further."""
_SAMPLES = 3
"""Blocks on which a job chooses its coupling."""
_KEPT = 1e9
"""Memory for the estimates of blocks that others will need again [bytes]."""


@dataclass(eq=False)
class CoupledBlocks:
    """The blocks of one cube, coupled to the pixels around them.

    Parameters
    ----------
    cube : Datacube
    tasks : sequence of BlockTask
        The blocks of this cube; pixels outside their masks do not count as neighbours.
    settings : InversionSettings
    mu, correlation : float
        Coupling, and correlation of the noise of neighbours; set by `choose_for_job`.
    """

    cube: Datacube
    tasks: Sequence[BlockTask]
    settings: InversionSettings
    mu: float = np.nan
    correlation: float = 0.0
    _fits: OrderedDict[Block, PixelFits] = field(default_factory=OrderedDict, repr=False)
    _locks: dict[Block, threading.Lock] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what another process makes for itself."""
        return {k: v for k, v in self.__dict__.items() if not k.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start without estimates."""
        self.__dict__.update(state, _fits=OrderedDict(), _locks={}, _lock=threading.Lock())

    def fit(
        self, task: BlockTask, shared: SharedPairs, mask: NDArray[np.bool_], pixels: PixelBlock | None = None
    ) -> PixelFits:
        """Give the uncoupled estimate of a block, from memory if it is there.

        Parameters
        ----------
        task : BlockTask
        shared : SharedPairs
        mask : ndarray of bool
            Rows of the cube's pair table that pass the filters on metadata.
        pixels : PixelBlock, optional
            Its observations, if they are at hand.
        """
        with self._lock:
            own = self._locks.setdefault(task.block, threading.Lock())
        with own:  # whoever comes second waits for the first instead of solving again
            with self._lock:
                found = self._fits.get(task.block)
                if found is not None:
                    self._fits.move_to_end(task.block)
                    return found
            if pixels is None:
                pixels = self.cube.read_block(task.block).keep(mask, task.mask)
            found = fit_pixels(pixels, shared, self.settings)
            with self._lock:
                self._fits[task.block] = found
                while len(self._fits) > 1 and sum(fit.nbytes for fit in self._fits.values()) > _KEPT:
                    self._fits.popitem(last=False)
            return found

    def solve(
        self, task: BlockTask, shared: SharedPairs, mask: NDArray[np.bool_], pixels: PixelBlock
    ) -> tuple[BatchResult, PixelFits]:
        """Give the coupled estimate of a block, and that of each pixel for itself.

        Parameters as for `fit`.

        Raises
        ------
        ItsliveError
            If the coupled problem cannot be solved.
        """
        core = self.fit(task, shared, mask, pixels)
        if self.mu == 0.0:
            return core.result, core
        window = self._window(task.block)
        around = [self.fit(other, shared, mask) for other in self.tasks if _meet(other.block, window)]
        patch = Patch.join(around, window, shared, self.settings)
        [(values, std)] = couple(
            patch, [core], self.mu, self.correlation, uncertainty=self.settings.uncertainty
        )
        return replace(core.result, values=values, std=std), core

    def _window(self, block: Block) -> Block:
        (ny, nx), halo = self.cube.shape, halo_for(self.mu)
        return Block(
            max(block.row0 - halo, 0),
            min(block.row1 + halo, ny),
            max(block.col0 - halo, 0),
            min(block.col1 + halo, nx),
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
    patches, failure = list[Patch](), None
    for task in _samples(tasks):
        own = blocks[task.cube]
        shared, mask = pairs[task.cube]
        try:
            fit = own.fit(task, shared, mask)
        except ItsliveError as error:  # the job names the block when its turn comes, and goes on
            failure = error
            continue
        patches.append(Patch.join([fit], task.block, shared, own.settings))
    if failure is not None and not patches:
        raise failure
    mu = choose_coupling(patches) if isinstance(wanted, str) else wanted
    correlation = neighbour_correlation(patches)
    found = {
        "spatial_smoothing_used": float(mu),
        "spatial_noise_correlation": round(correlation, 4),
        "spatial_halo": halo_for(mu),
        "spatial_residual": TOLERANCE,
    }
    apply_choice(blocks, found)
    return found


def apply_choice(blocks: Sequence[CoupledBlocks], found: Mapping[str, Any]) -> None:
    """Use what was chosen before, from the attributes that `choose_for_job` gave."""
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
