"""The folder of compiled kernels follows every source of the package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import itslive_core
from itslive_core.support.compiled import _digest

PACKAGE = Path(itslive_core.__file__).parent


def folder_of(root: Path) -> str:
    """Where a copy of the package keeps its kernels, asked in a fresh interpreter."""
    environment = os.environ | {"PYTHONPATH": str(root), "NUMBA_CACHE_DIR": str(root / "kernels")}
    code = "from itslive_core.support import compiled as c; print(c.__file__, c.kernel_folder(), sep='\\n')"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True, check=True
    )
    file, folder = run.stdout.split()
    assert Path(file).is_relative_to(root)
    assert Path(folder).is_dir()
    return folder


def test_a_constant_in_any_file_gives_a_new_folder(tmp_path):
    copy = tmp_path / "itslive_core"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.json", "*.gz", "*.npz"))
    before = folder_of(tmp_path)
    assert folder_of(tmp_path) == before
    (missions,) = copy.rglob("missions.py")
    text = missions.read_text()
    assert "kernel" not in text
    missions.write_text(text.replace('"other")', '"other", "more")'))
    assert folder_of(tmp_path) != before


def test_every_file_counts(tmp_path):
    for name in ("a.py", "b/c.py", "b/d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("X = 1")
    seen = [_digest(tmp_path)]
    for name in ("a.py", "b/c.py"):
        (tmp_path / name).write_text("X = 2")
        seen.append(_digest(tmp_path))
    (tmp_path / "a.py").rename(tmp_path / "e.py")
    seen.append(_digest(tmp_path))
    assert len({*seen}) == 4
    (tmp_path / "b/d.txt").write_text("notes")
    assert _digest(tmp_path) == seen[-1]


def test_the_compiler_counts(tmp_path, monkeypatch):
    before = _digest(tmp_path)
    monkeypatch.setattr("numba.__version__", "0.0")
    assert _digest(tmp_path) != before


def test_another_copy_of_the_package_has_kernels_of_its_own(tmp_path):
    """Kernels are found by path and date of their source: a sign of one copy is none for another."""
    code = "from itslive_core.support import compiled as c; print(c.compiled_for(), c.kernel_folder())"
    seen = []
    for name in ("one", "two"):
        copy = tmp_path / name / "itslive_core"
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        environment = os.environ | {"PYTHONPATH": str(copy.parent), "NUMBA_CACHE_DIR": str(tmp_path / "k")}
        run = subprocess.run(
            [sys.executable, "-c", code],
            cwd=copy.parent,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        seen.append(run.stdout.split())
    assert seen[0][0] != seen[1][0]
    assert seen[0][1] == seen[1][1]
