"""`itslive season`: plain words on stdout, a table in a file, one sentence where nothing can be said."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import itslive_core as itslive
from itslive_core.cli import run
from itslive_core.cli.season import describe
from itslive_core.demo import DEMO_POINTS, demo_path
from itslive_core.export import SEASON_COLUMNS
from tests.season.season_truth import PLAIN, YEAR, make_pairs, network, sinusoid

TRUNK = DEMO_POINTS["trunk"]
POINT = ["--lon", str(TRUNK.lon), "--lat", str(TRUNK.lat)]


@pytest.fixture(scope="module")
def cube():
    return str(demo_path().cubes[0])


def test_figures_are_said_in_words_and_written_as_a_table(cube, tmp_path, capfd):
    out = tmp_path / "season.csv"
    assert run(["season", cube, *POINT, "--start", "2014-01-01", "-o", str(out)]) == 0
    stdout, stderr = capfd.readouterr()
    selection = itslive.PairSelection(start="2014-01-01")
    expected = itslive.fit_season(itslive.open_cube(cube).pairs_at(TRUNK.lon, TRUNK.lat), selection=selection)

    said = re.search(r"Mean speed +([\d.]+) ± ([\d.]+) m/yr", stdout)
    assert float(said[1]) == pytest.approx(float(expected.mean_speed), abs=float(expected.mean_speed_std))
    assert float(said[2]) == pytest.approx(float(expected.mean_speed_std), rel=0.1)
    assert re.search(r"Trend +[+-][\d.]+ ± [\d.]+ m/yr per year", stdout)
    assert re.search(r"Season +amplitude [\d.]+ ± [\d.]+ m/yr", stdout)
    assert "ice-free ground" in stderr
    assert str(out) in stderr

    table = pd.read_csv(out)
    assert tuple(table.columns) == SEASON_COLUMNS
    assert table["year"].tolist() == ["all", *(str(year) for year in expected.year.values)]
    first = table.iloc[0]
    for column, name in (
        ("speed [m/yr]", "mean_speed"), ("amplitude_std [m/yr]", "season_amplitude_std"),
        ("trend [m/yr2]", "trend"), ("trend_std [m/yr2]", "trend_std"), ("x [m]", "x"), ("y [m]", "y"),
    ):  # fmt: skip
        assert first[column] == pytest.approx(float(expected[name]))
    assert first["epsg"] == 3413
    assert first["n_pairs"] == expected.attrs["n_pairs_used"]
    np.testing.assert_allclose(table["amplitude [m/yr]"][1:], expected.year_amplitude, rtol=1e-8)


def test_quiet_leaves_the_figures(cube, capfd):
    assert run(["season", cube, *POINT, "--quiet"]) == 0
    stdout, stderr = capfd.readouterr()
    assert stdout.startswith("Mean speed")
    assert stderr == ""


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (["--start", "2020-01-01", "--end", "2020-06-30"], 1, "less than 2 years"),
        (["--start", "2031-01-01"], 1, "filtered out"),
        (["-o", "season.nc"], 2, "season.nc: a season is written as .csv"),
        (["--min-span", "60", "--max-span", "6"], 2, "swap them"),
    ],
)
def test_one_sentence_where_nothing_can_be_said(cube, tmp_path, monkeypatch, capfd, more, code, words):
    monkeypatch.chdir(tmp_path)
    assert run(["season", cube, *POINT, *more]) == code
    stdout, stderr = capfd.readouterr()
    assert stdout == ""
    assert words in stderr
    assert len([line for line in stderr.splitlines() if not line.startswith("Reading")]) <= 3


def test_words_name_the_day_or_say_that_there_is_none():
    rng = np.random.default_rng(3)
    start, end = network(rng, 600)
    noise = rng.normal(0, 5, (2, 600))
    clear = itslive.fit_season(
        make_pairs(start, end, 300 + sinusoid(start, end, 60.0, 196.0 * YEAR / 365.0), noise), PLAIN
    )
    # Day 196 after 1 January is 16 July.
    words = describe(clear)
    found = re.search(r"fastest on (\d+) July", words[2])
    assert 13 <= int(found[1]) <= 19
    assert sum("July" in line for line in words) >= 8
    none = describe(itslive.fit_season(make_pairs(start, end, np.full(600, 300.0), noise), PLAIN))
    assert "not significant" in none[2]
