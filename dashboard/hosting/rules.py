"""What a visitor may do: everything at home, within limits on a public server."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dashboard.hosting.secrets import nameless
from itslive_core.cubes.icechunk_files import split_version
from itslive_core.errors import CubeError, OutlineError, SelectionError
from itslive_core.support.reach import check_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from itslive_core.cubes.datacube import Datacube

__all__ = ["HOME", "PUBLIC", "Rules"]

_HOME_UPLOAD = 200_000_000


@dataclass(frozen=True)
class Rules:
    """Limits of a server; 0 is no limit.

    Parameters
    ----------
    public : bool
        Visitors are strangers: no path of the server, no address but those of named hosts.
    sessions : int
        Sessions at a time in one process.
    jobs : int
        Estimates of whole glaciers at a time; others wait in turn.
    queue : int
        Estimates that may wait.
    threads : int
        Short jobs (series, reading) at a time.
    upload : int
        Bytes of a file; an archive may unpack to ten times that.
    vertices : int
        Of the outlines of a file.
    values : int
        Cells times pixels of one estimate.
    idle : float
        Minutes after which a session that does nothing is closed.
    memory : int
        Bytes of blocks that are kept for all sessions.
    quota : int
        Bytes that the results of whole glaciers may take.
    days : float
        After which such a result is deleted.
    metrics : bool
        Show numbers at ``/metrics`` on a public server too.
    """

    public: bool = False
    sessions: int = 0
    jobs: int = 0
    queue: int = 0
    threads: int = 0
    upload: int = _HOME_UPLOAD
    vertices: int = 0
    values: int = 0
    idle: float = 0.0
    memory: int = 256_000_000
    quota: int = 0
    days: float = 0.0
    metrics: bool = False

    def check_cube(self, url: str) -> None:
        """Refuse a datacube that a visitor may not open.

        Raises
        ------
        CubeError
            The same for each path, so that it does not tell which exist.
        """
        if not self.public:
            return
        if not url.startswith(("https://", "s3://")) or "::" in url:
            raise CubeError(
                "this public server opens datacubes by https:// or s3:// only:"
                " give such an address, or use your own installation"
            )
        url, _ = split_version(url)
        if "?" in url or "#" in url:
            raise CubeError(
                "this public server opens datacubes without a query in their address: leave it out"
            )
        check_url(url)

    def shown(self, text: str, cubes: Iterable[Datacube]) -> str:
        """Return a text as visitors may read it: strangers learn no folder of some datacubes."""
        return nameless(text, [cube.url for cube in cubes]) if self.public else text

    def check_path(self) -> None:
        """Refuse to read outlines from a path where visitors are strangers.

        Raises
        ------
        OutlineError
        """
        if self.public:
            raise OutlineError("this public server reads no paths: upload the file instead")

    def too_large(self, name: str) -> str:
        """Say that a file is too large."""
        instead = "leave out what is not needed" if self.public else "give its path instead"
        return f"{name!r} is larger than {self.upload / 1e6:.0f} MB: {instead}"

    def check_upload(self, content: bytes, name: str) -> None:
        """Refuse a file that is too large, or would be when it is unpacked.

        Raises
        ------
        OutlineError
        """
        if len(content) > self.upload:
            raise OutlineError(self.too_large(name))
        if not content.startswith(b"PK\x03\x04"):
            return
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                unpacked = sum(one.file_size for one in archive.infolist())
        except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
            raise OutlineError(f"{name!r} cannot be unpacked: pack it again") from error
        if unpacked > 10 * self.upload:
            raise OutlineError(
                f"{name!r} unpacks to more than {self.upload / 1e5:.0f} MB: leave out what is not needed"
            )

    def check_outlines(self, outlines: Sequence[Any]) -> None:
        """Refuse shapes of too many vertices.

        Raises
        ------
        OutlineError
        """
        import shapely

        if self.vertices and (n := int(shapely.get_num_coordinates(outlines).sum())) > self.vertices:
            raise OutlineError(
                f"the outlines have {n:,} vertices, and this server takes {self.vertices:,}:"
                " leave some out, or simplify them"
            )

    def check_values(self, pixels: float, cells: float) -> None:
        """Refuse an estimate of too many values.

        Raises
        ------
        SelectionError
        """
        if self.values and pixels * cells > self.values:
            raise SelectionError(
                f"{pixels:,.0f} pixels of {cells:,.0f} cells are {pixels * cells:,.0f} values, and the server"
                f" takes {self.values:,}: choose a longer interval, fewer years or a smaller glacier"
            )


HOME = Rules()
PUBLIC = Rules(
    public=True,
    sessions=60,
    jobs=1,
    queue=20,
    threads=8,
    upload=10_000_000,
    vertices=500_000,
    values=20_000_000,
    idle=30.0,
    memory=1_000_000_000,
    quota=5_000_000_000,
    days=7.0,
)
"""What `itslive-dashboard --public` begins with."""
