"""celerite2 on mid-dates, in an environment of its own or in this one; `celerite_worker.py` runs there."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CeleriteError", "celerite_seconds"]

_YEAR = 365.25


class CeleriteError(RuntimeError):
    """celerite2 is not there, or does not work."""


def celerite_seconds(
    time: NDArray[np.float64],
    values: NDArray[np.float64],
    error: NDArray[np.float64],
    grid: NDArray[np.float64],
    python: str | None = None,
    *,
    learn: bool = True,
) -> float:
    """Fit one component and predict its mean and variance; returns the CPU seconds.

    Parameters
    ----------
    time : ndarray, shape (n,)
        Mid-dates [days].
    values, error : ndarray, shape (n,)
        In units of their spread, around 0.
    grid : ndarray, shape (m,)
        Where to predict [days].
    python : str, optional
        Interpreter that has celerite2; default: the environment variable CELERITE_PYTHON, or this one.
    learn : bool
        Learn hyperparameters first; else they are what the search would start from.

    Raises
    ------
    CeleriteError
        If there is no celerite2, or it fails.
    """
    chosen = python or os.environ.get("CELERITE_PYTHON")
    if chosen is None and importlib.util.find_spec("celerite2") is None:
        raise CeleriteError(
            "it is not installed: install it elsewhere, as the README of the peers says, and set"
            " CELERITE_PYTHON to that interpreter"
        )
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.npz"
        np.savez(rows, t=time / _YEAR, y=values, error=error, grid=grid / _YEAR)
        worker = Path(__file__).with_name("celerite_worker.py")
        try:
            command = [chosen or sys.executable, worker, rows, *([] if learn else ["--given"])]
            run = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as problem:
            raise CeleriteError(f"{chosen} cannot be run ({problem.strerror})") from problem
    if run.returncode:
        last = (run.stderr.strip().splitlines() or ["no message"])[-1]
        raise CeleriteError(f"it failed with {chosen or 'this interpreter'}: {last}")
    return float(json.loads(run.stdout)["seconds"])
