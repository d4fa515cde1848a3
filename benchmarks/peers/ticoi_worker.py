"""Runs TICOI on one pixel. Started by `ticoi.py` with the interpreter of TICOI's own environment.

    python -I ticoi_worker.py FOLDER

-I keeps this folder, which has a module named ticoi too, off the path. FOLDER holds ``cube.nc`` (the pixel
and its neighbours, in the layout of TICOI's generic loader), ``job.json`` (place, coefficients, keyword
arguments of TICOI's functions) and, if wanted, ``predict.npz`` (spans to predict). ``result.npz`` is written
beside them. All estimates are made by TICOI's own functions, in the order of its pixel demo: load,
filter_cube_before_inversion, load_pixel, inversion_core, interpolation_core.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import json
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import numpy as np
import pandas as pd
from ticoi.core import interpolation_core, interpolation_to_data, inversion_core
from ticoi.cube_data_classxr import CubeDataClass

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEED = 0
"""TICOI jitters equal mid-dates by random numbers before it smooths; with a seed its results repeat."""


def days(dates: pd.Series) -> NDArray[np.float64]:
    """Turn dates into days since 1970-01-01."""
    return pd.to_datetime(dates).to_numpy().astype("datetime64[s]").astype("int64") / 86400.0


def prepare(path: Path, options: dict[str, Any]) -> tuple[CubeDataClass, Any, float]:
    """Load and filter the cube; returns it, the smoothed prior and the CPU seconds of filtering."""
    np.random.seed(SEED)  # noqa: NPY002 - TICOI draws from the global generator
    cube = CubeDataClass()
    cube.load(str(path), chunks={})
    start = time.process_time()
    prior, _ = cube.filter_cube_before_inversion(**options)
    return cube, prior, time.process_time() - start


def predict(series: pd.DataFrame, spans: dict[str, NDArray]) -> NDArray[np.float64]:
    """Average the estimate over spans by TICOI's own interpolation; NaN outside its dates, shape (2, m)."""
    first, last = (np.floor(spans[name]).astype("int64").astype("datetime64[D]") for name in ("start", "end"))
    table = pd.DataFrame({"date1": pd.to_datetime(first), "date2": pd.to_datetime(last)})
    table["temporal_baseline"] = (table["date2"] - table["date1"]).dt.days
    ends = series["date2"]
    # TICOI would drop spans that reach outside without saying which.
    inside = (
        (table["date1"] >= ends.min()) & (table["date2"] <= ends.max()) & (table["temporal_baseline"] > 0)
    )
    out = np.full((2, len(table)), np.nan)
    if inside.any():
        found = interpolation_to_data(series, table[inside])
        out[:, np.flatnonzero(inside)] = found[["vx", "vy"]].to_numpy(dtype=float).T
    return out


def main() -> None:
    """Do the job in the folder."""
    warnings.simplefilter("ignore")
    dask.config.set(scheduler="synchronous")
    folder = Path(sys.argv[1])
    job = json.loads((folder / "job.json").read_text())
    spans = np.load(folder / "predict.npz") if (folder / "predict.npz").exists() else None

    prepare(folder / "cube.nc", job["preparation"])  # the first call pays for imports
    cube, prior, filter_seconds = prepare(folder / "cube.nc", job["preparation"])
    place = {
        "proj": cube.ds.proj4,
        "regu": job["preparation"]["regu"],
        "solver": job["preparation"]["solver"],
    }

    def load() -> tuple[list[NDArray], Any, Any]:
        return cube.load_pixel(job["x"], job["y"], rolling_mean=prior, **place)

    dates, values = load()[0]
    few = slice(0, 50)
    inversion_core([dates[few], values[few]], 0.0, 0.0, regu="1", solver="LSMR")  # compile
    limits = cube.prepare_interpolation_date()
    limits = dict(zip(("first_date_interpol", "last_date_interpol"), limits, strict=True))

    result: dict[str, Any] = {
        "version": version("ticoi"),
        "prepare_cpu_seconds": filter_seconds,
        "n_pairs": len(values),
    }
    for k, coef in enumerate(job["coefs"]):
        start = time.process_time()
        data, mean, axis = load()
        _, irregular, _ = inversion_core(
            data, job["x"], job["y"], dates_range=axis, mean=mean, coef=coef, **job["inversion"]
        )
        regular = interpolation_core(irregular, **limits)
        result[f"cpu_seconds_{k}"] = time.process_time() - start
        result[f"time_start_{k}"] = days(regular["date1"])
        result[f"time_end_{k}"] = days(regular["date2"])
        for name in ("vx", "vy"):
            result[f"{name}_{k}"] = regular[name].to_numpy(dtype=float)
        if spans is not None:
            result[f"predicted_{k}"] = predict(irregular, spans)
    np.savez(folder / "result.npz", **result)


if __name__ == "__main__":
    main()
