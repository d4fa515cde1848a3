"""The wheel, installed outside the clone: its commands run, and its server finds the assets."""

from __future__ import annotations

import base64
import os
import re
import socket
import subprocess
import sys
import sysconfig
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.waiting import seconds, until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
ASSETS = sorted(path for path in (ROOT / "assets").rglob("*") if path.is_file() and path.suffix != ".py")


def run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built by the installed hatchling: no network, no isolation."""
    folder = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation",
        "--wheel-dir", folder, ROOT, cwd=folder,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def scripts(wheel, tmp_path_factory) -> Path:
    """Folder of the console scripts of a new environment that shares our libraries, but not our clone."""
    home = tmp_path_factory.mktemp("elsewhere")
    run(sys.executable, "-m", "venv", "--without-pip", home / "venv", cwd=home)
    folder = home / "venv" / "bin"
    own = run(
        folder / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home
    ).strip()
    # A path file inside that folder is not read again, so that an editable install of the clone stays out.
    Path(own, "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    pip = [sys.executable, "-m", "pip", "--python", folder / "python"]
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=home)
    return folder


def test_the_wheel_carries_what_is_needed_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"dashboard/assets/{path.relative_to(ROOT / 'assets').as_posix()}" for path in ASSETS} <= names
    data = {path.relative_to(ROOT).as_posix() for path in (ROOT / "itslive_core" / "data").iterdir()}
    assert {name for name in data if "__pycache__" not in name} <= names
    assert {"itslive_core/py.typed", "dashboard/app.py"} <= names
    assert not [name for name in names if name.startswith("dashboard/assets/") and name.endswith(".py")]
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"itslive_core", "dashboard"}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_installed_command_line_runs(scripts, tmp_path):
    where = run(scripts / "python", "-c", "import itslive_core; print(itslive_core.__file__)", cwd=tmp_path)
    assert not Path(where.strip()).is_relative_to(ROOT)
    assert "Examples:" in run(scripts / "itslive", "--help", cwd=tmp_path)
    version = run(scripts / "itslive", "--version", cwd=tmp_path)
    listed = run(scripts / "itslive", "cubes", "--lon", "76.4", "--lat", "35.74", "--quiet", cwd=tmp_path)
    assert version.startswith("itslive 0.")
    assert listed.startswith("https://its-live-data.s3.amazonaws.com/datacubes/")


def fetch(url: str) -> bytes | None:
    try:
        with urllib.request.urlopen(url, timeout=seconds(30)) as answer:
            return answer.read()
    except urllib.error.HTTPError:
        raise
    except OSError:
        return None


def test_the_installed_dashboard_finds_its_assets(scripts, tmp_path):
    code = "import sys; from dashboard.resources import asset; print(*map(asset, sys.argv[1:]), sep='\\n')"
    names = [path.relative_to(ROOT / "assets").as_posix() for path in ASSETS]
    for found in run(scripts / "python", "-c", code, *names, cwd=tmp_path).splitlines():
        assert Path(found).is_relative_to(scripts.parent)


def test_the_installed_dashboard_serves_its_page(scripts, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "log.txt"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with log.open("w") as stream:
        server = subprocess.Popen(
            [scripts / "itslive-dashboard", "--port", str(port)],
            cwd=tmp_path, env=environment, stdout=stream, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        pages: list[bytes] = []

        def answers() -> bool:
            pages.extend(page for page in [fetch(f"http://localhost:{port}/")] if page)
            return bool(pages) or server.poll() is not None

        until(answers, usual=120, what=lambda: log.read_text("utf-8"))
        assert pages, log.read_text("utf-8")
        page = pages[0]
        assert base64.b64encode((ROOT / "assets" / "logo.svg").read_bytes()) in page
        linked = re.findall(rb'(?:href|src)="(?!data:)([^"]+)"', page)
        assert linked
        assert not [link for link in linked if b"//" in link]  # nothing from elsewhere: it works offline
        assert all(fetch(f"http://localhost:{port}/{link.decode()}") for link in linked)
    finally:
        server.terminate()
        server.wait(timeout=seconds(30))
    text = log.read_text("utf-8")
    assert "Traceback" not in text
    assert f":{port}" in text
