"""Pairs and images left out by hand: how they are named, and what that takes away."""

from __future__ import annotations

import numpy as np
import pytest

import itslive_core as itslive
from itslive_core.errors import SettingsError
from itslive_core.observations.left_out import is_left_out, pair_name, parse_left_out
from itslive_core.observations.selection import LEFT_OUT

DAY = (np.datetime64("2019-06-03") - np.datetime64(0, "D")).astype(float)


def test_names_are_brought_to_one_spelling():
    names = " s2b@2019-06-13 05:12/S2A@2019-06-03T05:12 , l8@2019-06 ,8@2019-06"
    assert parse_left_out(names) == ("2A@2019-06-03T05:12/2B@2019-06-13T05:12", "8@2019-06")
    assert parse_left_out(["2019-06-03T05:12:31Z"]) == ("2019-06-03T05:12:31",)
    assert itslive.PairSelection(leave_out=()) == itslive.PairSelection()


@pytest.mark.parametrize("name", ["2A", "2A@", "@2019-06-03", "2A@June", "2019/2020/2021", "2A@2019-06/"])
def test_what_is_no_pair_is_quoted(name):
    with pytest.raises(SettingsError, match="is no image pair: write"):
        itslive.PairSelection(leave_out=(name,))


def test_an_image_takes_all_its_pairs_and_a_pair_itself_alone():
    minute = 1 / 1440
    start = np.array([DAY, DAY + 0.5 * minute, DAY - 10, DAY, np.nan, DAY])
    end = np.array([DAY + 10, DAY + 10, DAY, DAY + 12, DAY + 10, DAY + 10 + 2 * minute])
    first = np.array(["2A", "2A", "2B", "2A", "2A", "8"])
    second = np.array(["2B", "2B", "2A", "2A", "2B", "2B"])

    def taken(*names: str) -> list[int]:
        return np.flatnonzero(is_left_out(parse_left_out(names), start, end, first, second)).tolist()

    assert pair_name(DAY, DAY + 10, "2A", "2B") == "2A@2019-06-03T00:00/2B@2019-06-13T00:00"
    assert taken(pair_name(DAY, DAY + 10, "2A", "2B")) == [0, 1]
    assert taken("2A@2019-06-03T00:00") == [0, 1, 2, 3]
    assert taken("2019-06-03") == [0, 1, 2, 3, 5]
    assert taken("8@2019") == [5]
    assert taken("2019-06-03/2019-06-15", "2B@2019-05-24") == [2, 3]


@pytest.fixture(scope="module")
def pairs() -> itslive.ImagePairs:
    """Pairs of a few images of two satellites, each with those of the next ones."""
    rng = np.random.default_rng(14)
    images = DAY + 10.0 * np.arange(30)
    first, second = np.nonzero(
        (np.subtract.outer(images, images).T > 0) & (np.subtract.outer(images, images).T < 35)
    )
    code = np.where(np.arange(30) % 2, "2A", "2B")
    vx = 100.0 + rng.normal(0.0, 5.0, len(first))
    noise = np.full(len(first), 5.0)
    return itslive.ImagePairs.from_arrays(
        images[first], images[second], vx, vx / 2, vx_error=noise, vy_error=noise,
        satellite_1=code[first], satellite_2=code[second],
    )  # fmt: skip


@pytest.mark.parametrize("settings", [itslive.InversionSettings(), itslive.GaussianProcessSettings()])
def test_an_estimate_knows_nothing_of_what_is_left_out(pairs, settings):
    names = pairs.names()
    selection = itslive.PairSelection(leave_out=(names[3], names[10].partition("/")[0]))
    columns = (pairs.start, pairs.end, pairs.satellite_1, pairs.satellite_2)
    out = is_left_out(selection.leave_out, *columns)
    assert 2 <= out.sum() < len(pairs) / 4
    estimate = (
        itslive.invert if isinstance(settings, itslive.InversionSettings) else (itslive.fit_gaussian_process)
    )
    found = estimate(pairs, settings, selection=selection)
    alone = estimate(pairs.take(~out), settings)
    for name in ("vx", "vy", "vx_std", "n_pairs"):
        np.testing.assert_array_equal(found[name], alone[name])
    assert found.attrs["n_pairs_leave_out"] == (~out).sum()
    assert itslive.PairSelection.from_dict(selection.to_dict()) == selection
    diagnosis = itslive.diagnose(pairs, selection=selection)
    np.testing.assert_array_equal(diagnosis.pairs["rejected_by"] == LEFT_OUT, out)
