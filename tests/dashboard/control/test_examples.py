"""What is opened when nobody names a cube."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dashboard.control import examples
from dashboard.control.canvas import Canvas
from itslive_core import open_cube, read_glacier

MOST_BYTES = 12_000_000


@pytest.fixture(scope="module")
def parlung():
    return examples.example_of("parlung")


def test_the_clone_begins_with_the_real_glacier_and_the_wheel_with_the_synthetic_one(monkeypatch):
    assert [one.key for one in examples.available()] == ["parlung", "synthetic"]
    assert examples.example_of(None).key == "parlung"
    assert examples.example_of("synthetic").key == "synthetic"
    assert examples.example_of("no such").key == "parlung"
    elsewhere = tuple(
        examples.Example(one.key, one.title, one.words, one.read, tuple(p / "gone" for p in one.needs))
        for one in examples.EXAMPLES
    )
    monkeypatch.setattr(examples, "EXAMPLES", elsewhere)
    assert examples.example_of(None).key == "synthetic"


def test_each_says_what_it_is(parlung):
    assert parlung.words.startswith("Real data")
    assert examples.example_of("synthetic").words.startswith("Synthetic")


def test_the_real_glacier_is_small_enough_to_keep(parlung):
    cube = parlung.needs[0]
    files = [path for path in cube.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < MOST_BYTES


def test_it_begins_with_its_fastest_well_observed_pixel(parlung):
    opened = parlung.read(open_cube)
    (cube,), (glacier,) = opened.cubes, opened.glaciers
    assert cube.n_pairs == 47_892
    canvas = Canvas.around([cube], glacier.outline_in(cube.crs).bounds)
    for block in read_glacier([cube], glacier):
        canvas.put_median(block.x, block.y, block.v, block.n_pairs)
    x, y = canvas.fastest()
    first = cube.locate(lon=parlung.first[0], lat=parlung.first[1])
    assert (first.x, first.y) == (x, y)
    assert np.isfinite(canvas.median).sum() == glacier.contains(cube.x, cube.y, cube.crs).sum()


def test_names_in_links_are_told_apart():
    for one, other in itertools.combinations(examples.EXAMPLES, 2):
        assert one.key != other.key
