"""Events: dates, sizes and limits of what is there, and nothing where nothing is."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from itslive_core.cli import run
from itslive_core.errors import SettingsError
from itslive_core.events.detect import detect_events
from itslive_core.events.model import cell_means

INTERVAL, TAU = 12.0, 30.0
DAYS = 17_000.0 + INTERVAL * np.arange(240)


def series_of(departure: np.ndarray, *, seed: int = 0, speed: float = 100.0, std: float = 4.0) -> xr.Dataset:
    """A season, a departure, and noise that is correlated as that of a smoothed series."""
    rng = np.random.default_rng(seed)
    phi = np.exp(-INTERVAL / TAU)
    noise = np.empty((2, len(DAYS)))
    drawn = rng.standard_normal(noise.shape)
    noise[:, 0] = drawn[:, 0]
    for k in range(1, len(DAYS)):
        noise[:, k] = phi * noise[:, k - 1] + np.sqrt(1 - phi**2) * drawn[:, k]
    v = speed * (1.0 + 0.1 * np.sin(2 * np.pi * DAYS / 365.25)) + departure
    data = {"vx": 0.8 * v + std * noise[0], "vy": 0.6 * v + std * noise[1]}
    data |= {f"{n}_std": np.full(len(DAYS), std) for n in ("vx", "vy")}
    time = (DAYS * 86_400).astype("int64").astype("datetime64[s]").astype("datetime64[ns]")
    attributes = {"effective_degrees_of_freedom": len(DAYS) * INTERVAL / (2 * TAU)}
    ds = xr.Dataset({n: ("time", values) for n, values in data.items()}, {"time": time}, attributes)
    return ds.assign(n_pairs=("time", np.full(len(DAYS), 5)))


def triangle(begin: float, rise: float, fall: float) -> np.ndarray:
    return cell_means(DAYS, INTERVAL, np.array([begin, np.log(rise), np.log(fall), 0.0, 0.0]))


def day(value: xr.DataArray) -> float:
    return float((value.values - np.datetime64(0, "s")) / np.timedelta64(1, "D"))


def test_means_of_a_triangle_over_cells_are_exact():
    begin, rise, fall = 17_500.0, 75.0, 130.0
    fine = np.arange(17_000.0 - 6.0, DAYS[-1] + 6.0, 0.01) + 0.005
    values = np.interp(fine, [begin, begin + rise, begin + rise + fall], [0.0, 1.0, 0.0], left=0.0, right=0.0)
    np.testing.assert_allclose(triangle(begin, rise, fall), values.reshape(240, -1).mean(axis=1), atol=1e-5)


def test_events_are_dated_and_their_limits_hold():
    rng = np.random.default_rng(5)
    misses, errors, held = 0, [], []
    for seed in range(12):
        begin, rise, fall = rng.uniform(17_500, 19_000), rng.uniform(40, 200), rng.uniform(60, 300)
        size = rng.choice([-1.0, 1.0]) * rng.uniform(50.0, 80.0)
        found = detect_events(series_of(size * triangle(begin, rise, fall), seed=seed), seed=seed)
        if found.sizes["event"] != 1:
            misses += 1
            continue
        one = found.isel(event=0)
        assert str(one["kind"].values) == ("speed-up" if size > 0 else "slow-down")
        truth = {"onset": begin + 0.1 * rise, "peak": begin + rise, "end": begin + rise + 0.9 * fall}
        errors.append(abs(day(one["onset"]) - truth["onset"]))
        held += [day(one[f"{n}_lower"]) <= t <= day(one[f"{n}_upper"]) for n, t in truth.items()]
        held.append(float(one["size_lower"]) <= size <= float(one["size_upper"]))
        assert not one["ongoing"]
    assert misses <= 1
    assert np.median(errors) < 12.0
    assert np.mean(held) > 0.85


def test_quiet_ice_and_rock_have_none():
    found = [
        detect_events(series_of(np.zeros(240), seed=s, speed=v)).sizes["event"]
        for s in range(6)
        for v in (0, 100)
    ]
    assert sum(found) == 0


def test_two_events_and_one_that_goes_on():
    departure = 90.0 * triangle(17_400.0, 80.0, 120.0) - 60.0 * triangle(18_300.0, 150.0, 200.0)
    departure += 150.0 * np.clip((DAYS - DAYS[-14]) / 150.0, 0.0, None)
    found = detect_events(series_of(departure))
    assert found["kind"].values.tolist() == ["speed-up", "slow-down", "speed-up"]
    assert found["ongoing"].values.tolist() == [False, False, True]
    assert np.isnat(found["end"].values[2])
    assert (found["deviations"] > 6.0).all()


def test_what_is_no_series_is_refused():
    ds = series_of(np.zeros(240))
    with pytest.raises(SettingsError, match="vx_std"):
        detect_events(ds.drop_vars("vx_std"))
    with pytest.raises(SettingsError, match="0 or more"):
        detect_events(ds, least_change=-1.0)
    nothing = detect_events(ds.where(ds["n_pairs"] > 9))
    assert nothing.sizes["event"] == 0


def test_the_command_prints_and_writes(tmp_path, capsys):
    path = tmp_path / "series.nc"
    series_of(90.0 * triangle(17_400.0, 80.0, 120.0)).to_netcdf(path)
    assert run(["events", str(path)]) == 0
    assert capsys.readouterr().out.startswith("speed-up: onset 2017-")
    assert run(["events", str(path), "--json", "-o", str(tmp_path / "events.csv")]) == 0
    [event] = json.loads(capsys.readouterr().out)["events"]
    assert event["size"] == pytest.approx(90.0, rel=0.3)
    assert (tmp_path / "events.csv").read_text().startswith("kind,onset,onset_lower")
    assert run(["events", str(tmp_path / "none.nc")]) == 1
    assert "give a .nc" in capsys.readouterr().err
