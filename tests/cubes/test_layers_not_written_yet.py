"""Arrays that were made longer than their data: what is not written yet is no velocity of zero."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

import itslive_core as itslive
from tests.reading import write_arrays

N, MORE = 6, 4


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("chunk", [2, 6, 20], ids=["own chunks", "chunk full", "chunk half full"])
@pytest.mark.parametrize("marker", [None, -32_767])
@pytest.mark.parametrize("of_dates", ["numbers", "whole numbers"])
def test_layers_that_are_not_written_yet_are_dropped_and_said(tmp_path, zarr_format, chunk, marker, of_dates):
    vx = np.arange(1, N + 1, dtype=np.int16)[:, None, None] * np.full((1, 2, 3), 10, np.int16)
    start = 18_000.0 + 10.0 * np.arange(N)
    how = {} if marker is None else {"velocity_attributes": {"missing_value": marker}}
    if of_dates == "whole numbers":
        how["date_attributes"] = {"units": "seconds since 1970-01-01"}
        start = (start * 86_400).astype(np.int64)
    ahead = 16 if of_dates == "numbers" else 16 * 86_400
    path = write_arrays(
        tmp_path / "c.zarr", vx, -vx, start=start, end=start + ahead, zarr_format=zarr_format,
        chunks=(chunk, 2, 3), **how,
    )  # fmt: skip
    group = zarr.open_group(path, mode="r+")
    for name in ("vx", "vy"):
        group[name].resize((N + MORE, 2, 3))
    for name in ("acquisition_date_img1", "acquisition_date_img2"):
        group[name].resize((N + MORE,))
    cube = itslive.open_cube(path)
    assert cube.n_pairs == N + MORE
    pairs = cube.pairs_at(x=700_060, y=3_399_940)
    np.testing.assert_array_equal(pairs.vx, vx[:, 0, 0])
    assert cube.pair_table.unwritten == MORE
    for step in (pairs.history[2], cube.pair_table.select(itslive.PairSelection())[1][0]):
        assert step.name == "valid_dates"
        assert f"{MORE} layers not yet written" in step.note
