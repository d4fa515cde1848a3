"""What every test shares: quiet threads, private caches, and the way to the real data."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

# Before numpy is first imported: neither results nor timings shall depend on the number of BLAS threads.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# Downloads and the demo of a test run never mix with a user's. Kept for the run: the demo is made once.
# Compiled kernels stay where numba puts them, so that a second run does not compile again.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _cache = tempfile.TemporaryDirectory(prefix="itslive-test-cache-", ignore_cleanup_errors=True)
    os.environ["ITSLIVE_CACHE"] = _cache.name
    os.environ["ITSLIVE_RESULTS"] = str(Path(_cache.name) / "results")

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]

settings.register_profile(
    "project",
    deadline=None,  # the first example may compile a kernel
    derandomize=True,  # a failure is the same for everybody
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("project")


def real_data_folder() -> Path | None:
    """Return the folder of real ITS_LIVE data, or None where a machine has none."""
    named = os.environ.get("ITSLIVE_TEST_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data; skips where there is none."""
    folder = real_data_folder()
    if folder is None:
        pytest.skip("no real data: set ITSLIVE_TEST_DATA to the folder that holds parlung.zarr")
    return folder


@pytest.fixture(scope="session")
def parlung(real_data: Path) -> Path:
    """A real ITS_LIVE cube clipped to one glacier; skips where it is missing."""
    path = real_data / "parlung.zarr"
    if not path.exists():
        pytest.skip(f"no real cube: {path} is missing")
    return path


@pytest.fixture(scope="session")
def parlung_outline(real_data: Path) -> Path:
    """The RGI 7 outline of the glacier in ``parlung``."""
    path = real_data / "parlung_outline.geojson"
    if not path.exists():
        pytest.skip(f"no real outline: {path} is missing")
    return path
