"""`itslive strain` and `itslive flux`: from the file of an area to files of results."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from itslive_core.cli import run
from itslive_core.places.geodesy import LONLAT, transformer
from itslive_core.series import grid_mapping


@pytest.fixture
def area(tmp_path):
    x, y = 500_000.0 + 100.0 * np.arange(12), 3_900_000.0 - 100.0 * np.arange(10)
    shape = (2, 10, 12)
    ds = xr.Dataset(
        {name: (("time", "y", "x"), np.full(shape, value)) for name, value in
         {"vx": 300.0, "vy": 0.0, "vx_std": 3.0, "vy_std": 3.0}.items()},
        {"x": x, "y": y, "time": np.array(["2020-01-01", "2020-01-13"], "datetime64[ns]")},
    )  # fmt: skip
    ds["vx"].attrs["grid_mapping"] = "mapping"
    ds["mapping"] = ((), 0, grid_mapping(32646))
    path = tmp_path / "area.nc"
    ds.to_netcdf(path)
    return path


def test_strain_and_flux_are_written(area, tmp_path, capsys):
    assert run(["strain", str(area), "--length-scale", "100", "-o", str(tmp_path / "strain.nc")]) == 0
    with xr.open_dataset(tmp_path / "strain.nc") as found:
        assert float(found["e_eff"].max()) == 0.0
        assert found.attrs["length_scale"] == 100.0
    gate = tmp_path / "gate.geojson"
    lon, lat = transformer(32646, LONLAT).transform([500_500.0, 500_500.0], [3_899_200.0, 3_899_800.0])
    line = f"[[{lon[0]}, {lat[0]}], [{lon[1]}, {lat[1]}]]"
    gate.write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry":'
        f' {{"type": "LineString", "coordinates": {line}}}}}]}}'
    )
    command = ["flux", str(area), "--gate", str(gate), "--thickness", "100"]
    assert run([*command, "-o", str(tmp_path / "flux.csv")]) == 0
    rows = (tmp_path / "flux.csv").read_text().splitlines()
    assert rows[0] == "time,flux [m3/yr],flux_std [m3/yr],gate_coverage"
    assert float(rows[1].split(",")[1]) == pytest.approx(300.0 * 100.0 * 600.0 / 0.9996, rel=1e-4)
    assert run([*command[:-1], "none.tif", "-o", str(tmp_path / "flux.csv")]) == 1
    assert "thickness none.tif cannot be read" in capsys.readouterr().err
    assert run(["strain", str(gate), "-o", str(tmp_path / "strain.nc")]) == 1
    assert "give a .zarr or .nc" in capsys.readouterr().err
