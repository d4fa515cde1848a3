"""Servers on loopback, shared by the tests of this folder: moto's S3 and plain HTTP, both counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

import itslive_core as itslive
from tests.remote.production import NAME, make_production
from tests.remote.servers import BUCKET, LocalServer, folder, forward, moto_server, upload
from tests.tiny_cube import VARIANTS, TinyCube, write_cube

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALL = (
    "production",
    "v3",
    "v3-sharded",
    "v3-not-consolidated",
    "not-consolidated",
    "many-chunks",
    "missing-chunks",
)


@dataclass(frozen=True)
class Remote:
    """One way to reach the cubes: the server that counts, the address above them, what to tell fsspec."""

    server: LocalServer
    base: str
    options: dict[str, Any] | None

    def url(self, name: str) -> str:
        return f"{self.base}/{name}"

    def open(self, name: str, **more: Any) -> itslive.Datacube:
        return itslive.open_cube(self.url(name), storage_options=self.options, **more)


@pytest.fixture(scope="session")
def cubes(tmp_path_factory) -> tuple[Path, dict[str, TinyCube]]:
    """The folder of all cubes, and their truths by name."""
    root = tmp_path_factory.mktemp("remote")
    lean = {"radar": False, "without": ("v", "v_error", "interp_mask")}  # fewer files to put into the bucket
    made = {f"{name}.zarr": write_cube(root / f"{name}.zarr", VARIANTS[name], **lean) for name in SMALL}
    name = "one-line-in-many.zarr"
    made[name] = write_cube(root / name, line_chunk=20, label_chunk=400, **lean)
    made[NAME] = make_production(root)
    return root, made


@pytest.fixture(scope="session")
def truths(cubes) -> dict[str, TinyCube]:
    return cubes[1]


@pytest.fixture(scope="session")
def s3(cubes) -> Iterator[Remote]:
    """moto's S3 server, behind a server that counts."""
    with moto_server() as address:
        upload(cubes[0], address)
        with LocalServer(forward(*address)) as server:
            yield Remote(server, f"s3://{BUCKET}", {"client_kwargs": {"endpoint_url": server.url}})


@pytest.fixture(scope="session")
def web(cubes) -> Iterator[Remote]:
    """A plain HTTP server, as https without its certificates."""
    with LocalServer(folder(cubes[0])) as server:
        yield Remote(server, server.url, None)


@pytest.fixture(params=["s3", "web"])
def remote(request) -> Remote:
    """Either of them."""
    return request.getfixturevalue(request.param)
