"""Every example of the README runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> str:
    """All code of one language, in order."""
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL))


def run(command: list[str], folder: Path) -> str:
    """Run a command as a newcomer would, with the console scripts of this environment on the path."""
    scripts = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_examples_run_in_the_order_of_the_page(tmp_path):
    shell = blocks("sh")
    assert shell.startswith("itslive demo demo.zarr")
    # A function in place of the script, so that a clone that was never installed is tested, too.
    preamble = f'itslive() {{ "{sys.executable}" -c "from itslive_core.cli import main; main()" "$@"; }}\n'
    run(["bash", "-euc", preamble + shell], tmp_path)
    written = {path.name for path in tmp_path.iterdir()}
    assert {"series.nc", "recent.csv", "pairs.csv", "glacier.zarr"} <= written

    printed = run([sys.executable, "-W", "error::UserWarning", "-c", blocks("python")], tmp_path)
    assert "image pairs" in printed
    assert "m/yr" in printed
    assert {"own.nc", "python.zarr"} <= {path.name for path in tmp_path.iterdir()}


def test_files_that_the_page_points_to_exist():
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert "CHANGELOG.md" in targets
    missing = [target for target in targets if not (ROOT / target).exists()]
    assert not missing


def test_the_two_commands_are_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"^make (\w+)", blocks("console"), flags=re.MULTILINE):
        assert f"\n{target}:" in makefile
