"""How the estimate of a whole glacier stands, as all who look on are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

    from dashboard.hosting.results import End, Record

__all__ = ["SHOWN", "Standing", "StoredBlock", "standing_of"]

SHOWN = ("vx", "vy", "n_pairs", "source", "mean_speed", "trend", "season_amplitude", "season_day")
"""Variables that are read back for a map."""


@dataclass(frozen=True)
class Standing:
    """How a job stands.

    Parameters
    ----------
    id, name : str
    state : {"waiting", "working", "stopping", "done", "stopped", "failed"}
    done, pixels : int
        Pixels that the store holds, and all.
    previewed : int
        Pixels that were shown before they are done.
    blocks, failed : int
        All blocks, and those that failed in this run.
    cells, bytes : int
        Of the time axis, and about what the result takes on disk.
    before : int
        Jobs that have their turn before this one.
    words : str
        What went wrong.
    keep : bool
        It goes on when nobody looks.
    cubes : int
        Datacubes that it is made from.
    created, seconds : float
        When it was begun (since 1970), and how long its finished runs took.
    """

    id: str
    name: str
    state: str
    done: int
    pixels: int
    blocks: int
    cells: int
    bytes: float
    previewed: int = 0
    failed: int = 0
    before: int = 0
    words: str = ""
    keep: bool = False
    cubes: int = 1
    created: float = 0.0
    seconds: float = 0.0

    @property
    def active(self) -> bool:
        """It works, or will when its turn comes."""
        return self.state in ("waiting", "working", "stopping")


@dataclass(frozen=True, eq=False)
class StoredBlock:
    """A block that was read back.

    Parameters
    ----------
    dataset : xarray.Dataset
        With variables of `SHOWN`.
    choice : str
        Which of several cubes gave which pixels.
    """

    dataset: xr.Dataset
    choice: str


def standing_of(record: Record, finished: tuple[str, ...], end: End, *, state: str, keep: bool) -> Standing:
    """Say what is known of a job from its folder.

    Parameters
    ----------
    record : Record
    finished : tuple of str
        Blocks that the store holds.
    end : End
        Of its last run.
    state : str
    keep : bool
    """
    size = record.size
    return Standing(
        id=record.id,
        name=record.name,
        state=state,
        done=sum(size.blocks[name].pixels for name in finished if name in size.blocks),
        pixels=size.pixels,
        blocks=len(size.blocks),
        cells=size.cells,
        bytes=size.bytes,
        keep=keep,
        cubes=len(record.cubes),
        created=record.created,
        seconds=end.seconds,
    )
