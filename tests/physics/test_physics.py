"""Strain, acceleration, flux, pathlines: against analytic fields, the spread of draws, and another tool."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.linalg import expm

from itslive_core.errors import SettingsError
from itslive_core.physics.acceleration import acceleration
from itslive_core.physics.fields import correlation_in_time
from itslive_core.physics.gates import flux
from itslive_core.physics.pathlines import pathlines
from itslive_core.physics.strain import STRAIN_RATES, strain_rates
from itslive_core.places.geodesy import LONLAT, transformer
from itslive_core.series import grid_mapping

EPSG = 32646
TIMES = np.datetime64("2020-01-07", "ns") + np.arange(40) * np.timedelta64(12, "D")


def field_of(vx, vy, std: float | None = None, *, nx: int = 21, ny: int = 17, times=None) -> xr.Dataset:
    """A field of functions of x and y [m from the first pixel] on pixels of 100 m, y downwards."""
    x, y = 500_000.0 + 100.0 * np.arange(nx), 3_900_000.0 - 100.0 * np.arange(ny)
    X, Y = np.meshgrid(x - x[0], y - y[0])
    shape = (ny, nx) if times is None else (len(times), ny, nx)
    data = {"vx": np.broadcast_to(vx(X, Y), shape), "vy": np.broadcast_to(vy(X, Y), shape)}
    if std is not None:
        data |= {"vx_std": np.full(shape, std), "vy_std": np.full(shape, 1.5 * std)}
    dims = ("y", "x") if times is None else ("time", "y", "x")
    ds = xr.Dataset({name: (dims, values) for name, values in data.items()}, {"x": x, "y": y})
    ds["vx"].attrs["grid_mapping"] = "mapping"
    ds["mapping"] = ((), 0, grid_mapping(EPSG))
    return ds if times is None else ds.assign_coords(time=times)


def linear(std: float | None = None, **how) -> xr.Dataset:
    return field_of(lambda x, y: 200 + 0.02 * x - 0.05 * y, lambda x, y: 90 + 0.03 * x + 0.01 * y, std, **how)


def test_strain_of_a_linear_field_is_exact():
    ds = linear()
    found = strain_rates(ds, length_scale=200.0)
    gradient = np.array([[0.02, -0.05], [0.03, 0.01]])
    D = 0.5 * (gradient + gradient.T)
    low, high = np.linalg.eigvalsh(D)
    inside = found.isel(x=slice(2, -2), y=slice(2, -2))
    v = np.stack([ds[n].isel(x=slice(2, -2), y=slice(2, -2)).values for n in ("vx", "vy")])
    n = v / np.hypot(*v)
    m = np.stack([-n[1], n[0]])
    expected = {
        "e_xx": D[0, 0], "e_yy": D[1, 1], "e_xy": D[0, 1], "e_1": high, "e_2": low,
        "e_lon": np.einsum("iab,ij,jab->ab", n, D, n), "e_trans": np.einsum("iab,ij,jab->ab", m, D, m),
        "e_shear": np.einsum("iab,ij,jab->ab", n, D, m),
        "e_eff": np.sqrt(0.5 * (D[0, 0] ** 2 + D[1, 1] ** 2 + np.trace(D) ** 2) + D[0, 1] ** 2),
    }  # fmt: skip
    assert set(expected) == set(STRAIN_RATES)
    for name, values in expected.items():
        np.testing.assert_allclose(inside[name], np.broadcast_to(values, inside["e_xx"].shape), atol=1e-6)
    axis = np.array([np.cos(a := np.radians(float(inside["e_1_angle"][0, 0]))), np.sin(a)])
    np.testing.assert_allclose(D @ axis, high * axis, atol=1e-9)
    assert np.isnan(found["e_xy"][0]).all()
    assert found.attrs["length_scale"] == 200.0


def test_a_rotating_field_does_not_strain():
    ds = field_of(lambda x, y: -0.1 * (y + 800), lambda x, y: 0.1 * (x - 1000))
    found = strain_rates(ds)
    for name in ("e_1", "e_2", "e_eff", "e_lon", "e_shear"):
        values = found[name].values[np.isfinite(found[name].values)]
        np.testing.assert_allclose(values, 0.0, atol=1e-9)


def test_errors_are_the_spread_of_many_fields():
    rng = np.random.default_rng(1)
    ds = linear(0.2, times=np.arange(3000).astype("datetime64[D]"), nx=5, ny=5)
    told = strain_rates(ds.isel(time=0)).isel(x=2, y=2)
    noisy = ds.copy()
    for name in ("vx", "vy"):
        noisy[name] = ds[name] + ds[f"{name}_std"] * rng.standard_normal(ds[name].shape)
    spread = strain_rates(noisy).isel(x=2, y=2).std("time")
    for name in STRAIN_RATES:
        assert float(told[f"{name}_std"]) == pytest.approx(float(spread[name]), rel=0.1), name


def test_glacier_strain_tools_says_the_same_of_a_static_field():
    strain = pytest.importorskip("strain_tools").strain
    ds = field_of(
        lambda x, y: 300 + 0.01 * x + 5 * np.sin(y / 700), lambda x, y: 40 + 0.004 * y + 4 * np.cos(x / 900)
    )
    theirs = strain.logarithmic(ds["vx"].values, ds["vy"].values, 100.0, 100.0)
    ours = strain_rates(ds)
    scale = float(np.nanmax(ours["e_eff"]))
    for name, values in zip(("e_xx", "e_yy", "e_xy"), theirs, strict=True):
        both = np.isfinite(values) & np.isfinite(ours[name].values)
        assert both.sum() > 50
        np.testing.assert_allclose(ours[name].values[both], values[both], atol=1e-3 * scale)
    angle = np.arctan2(ds["vy"].values, ds["vx"].values)
    components = [ours[name].values for name in ("e_xx", "e_yy", "e_xy")]
    for name, function in (
        ("e_lon", strain.longitudinal),
        ("e_trans", strain.transverse),
        ("e_shear", strain.shear),
    ):
        np.testing.assert_allclose(ours[name], function(*components, angle), rtol=1e-3, atol=1e-12)
    np.testing.assert_allclose(ours["e_eff"], strain.effective(*components), rtol=1e-3)


def test_acceleration_knows_that_cells_err_together():
    rng = np.random.default_rng(2)
    days = np.arange(len(TIMES)) * 12.0
    draws, tau = 4000, 30.0
    std = 5.0
    series = xr.Dataset(
        {
            n: ("time", value + slope * days / 365.25)
            for n, value, slope in (("vx", 80.0, 30.0), ("vy", 60.0, 40.0))
        }
        | {f"{n}_std": ("time", np.full(len(days), std)) for n in ("vx", "vy")},
        {"time": TIMES},
    )
    told = acceleration(series, window=96.0, correlation_time=tau).isel(time=20)
    exact = acceleration(series, window=96.0)
    rate = np.array([30.0, 40.0])
    flow = np.array([80.0, 60.0]) + rate * days[20] / 365.25
    assert float(exact["acceleration"][20]) == pytest.approx(rate @ flow / np.hypot(*flow), rel=1e-6)
    assert np.isnan(exact["acceleration"][[0, -1]]).all()
    root = np.linalg.cholesky(correlation_in_time(series, tau) + 1e-12 * np.eye(len(days)))
    many = series[["vx", "vy"]].expand_dims(draw=draws).copy()
    for n in ("vx", "vy"):
        noise = std * rng.standard_normal((draws, len(days))) @ root.T
        many[n] = (("draw", "time"), series[n].values + noise)
    spread = float(acceleration(many, window=96.0)["acceleration"].isel(time=20).std())
    assert float(told["acceleration_std"]) == pytest.approx(spread, rel=0.1)
    series["n_pairs"] = ("time", np.full(len(days), 3))
    series.attrs["effective_degrees_of_freedom"] = 10.0
    assert correlation_in_time(series)[0, 1] == pytest.approx(np.exp(-12.0 / 24.0))


@pytest.mark.parametrize("correlation_length", [0.0, np.inf])
def test_flux_and_its_error(correlation_length):
    ds = field_of(
        lambda x, y: 300.0 + 0 * x, lambda x, y: 0.0 * x, 6.0, times=np.arange(2000).astype("M8[D]")
    )
    x, y = np.array([501_030.0, 501_030.0]), np.array([3_899_810.0, 3_898_810.0])
    gate = np.column_stack(transformer(EPSG, LONLAT).transform(x, y))
    told = flux(ds.isel(time=0), gate, 150.0, thickness_std=15.0, correlation_length=correlation_length)
    width = told.attrs["gate_length"]
    assert width == pytest.approx(1000.0 / 0.9996, rel=1e-4)  # UTM shrinks what is near its meridian
    assert float(told["flux"]) == pytest.approx(
        -300.0 * 150.0 * width, rel=1e-6
    )  # to the left of who walks south
    thickness = xr.DataArray(np.full((17, 21), 150.0), {"y": ds["y"], "x": ds["x"]}, dims=("y", "x"))
    assert float(flux(ds.isel(time=0), gate, thickness)["flux"]) == pytest.approx(float(told["flux"]))
    rng = np.random.default_rng(3)
    shape = ds["vx"].shape if correlation_length == 0.0 else (ds.sizes["time"], 1, 1)
    noisy = ds.assign(vx=ds["vx"] + 6.0 * rng.standard_normal(shape))
    heights = 150.0 + 15.0 * rng.standard_normal(ds.sizes["time"])
    spread = float((flux(noisy, gate, 150.0)["flux"] * heights / 150.0).std())
    assert float(told["flux_std"]) == pytest.approx(spread, rel=0.1)


def test_flux_with_gaps_and_what_it_refuses():
    ds = linear(1.0)
    gate = np.column_stack(transformer(EPSG, LONLAT).transform([500_510.0, 501_490.0], [3_899_200.0] * 2))
    ds["vx"] = ds["vx"].copy(data=np.where(np.indices((17, 21)).sum(axis=0) == 14, np.nan, ds["vx"]))
    found = flux(ds, gate, 100.0)
    assert 0.7 < float(found["gate_coverage"]) < 0.9
    assert np.isnan(found["flux"])
    far = np.column_stack(transformer(EPSG, LONLAT).transform([499_000.0, 501_490.0], [3_899_200.0] * 2))
    with pytest.raises(SettingsError, match="leaves the area"):
        flux(ds, far, 100.0)
    with pytest.raises(SettingsError, match="thickness is missing"):
        flux(ds, gate, np.nan)
    with pytest.raises(SettingsError, match="no variable 'vx'"):
        strain_rates(xr.Dataset())


def test_pathlines_of_a_linear_field_are_the_exponential():
    times = np.array(["2020-01-01", "2021-01-01"], "datetime64[ns]")
    ds = linear(times=times)
    x0, y0 = np.array([500_300.0, 500_400.0]), np.array([3_899_400.0, 3_899_500.0])
    found = pathlines(ds, x0, y0, step=10.0)
    gradient = np.array([[0.02, -0.05, 200.0], [0.03, 0.01, 90.0], [0, 0, 0]])
    flow = expm(gradient * 366.0 / 365.25)
    for k in range(2):
        end = flow @ [x0[k] - 500_000.0, y0[k] - 3_900_000.0, 1.0]
        np.testing.assert_allclose(found["x"][k, -1], 500_000.0 + end[0], atol=1e-6)
        np.testing.assert_allclose(found["y"][k, -1], 3_900_000.0 + end[1], atol=1e-6)
    back = pathlines(
        ds, found["x"][:, -1], found["y"][:, -1], start="2021-01-01", end="2020-01-01", step=10.0
    )
    np.testing.assert_allclose(back["x"][:, -1], x0, atol=1e-5)
    assert np.isnan(pathlines(ds, 501_990.0, 3_899_000.0)["x"][0, -1])
    with pytest.raises(SettingsError, match="give start and end"):
        pathlines(ds.isel(time=0, drop=True), x0, y0)
