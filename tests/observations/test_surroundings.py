"""Which pixels speak for a block, and which a pixel may look at."""

from __future__ import annotations

import numpy as np

from itslive_core.observations.blocks import Block, PixelBlock
from itslive_core.observations.surroundings import FEW, SAMPLES, choose_companions, choose_samples


def block_of(counts: list[int], speeds: list[float], columns: int = 5) -> PixelBlock:
    """Make a block of pixels with so many pairs of one speed each."""
    n = np.array(counts)
    offsets = np.concatenate([[0], np.cumsum(n)]).astype(np.int64)
    pair = np.concatenate([np.arange(k) for k in counts]).astype(np.int32)
    vx = np.repeat(speeds, n).astype(np.float32)
    rows = len(counts) // columns
    block = Block(0, rows, 0, columns)
    return PixelBlock(block, offsets, pair, vx, np.zeros_like(vx), np.zeros(len(n), dtype=np.int32))


def test_samples_are_rich_and_lie_evenly_along_the_speeds() -> None:
    speeds = [float(v) for v in np.random.default_rng(0).permutation(20) * 10]
    counts = [400] * 20
    for poor in (3, 8):
        counts[poor] = 100
    found = choose_samples(block_of(counts, speeds))
    assert len(found) == SAMPLES
    assert not {3, 8} & set(found)
    ranked = np.argsort(np.argsort(speeds))[found]
    assert sorted(ranked // 5) == [0, 1, 2, 3]


def test_samples_do_not_depend_on_what_is_masked() -> None:
    block = block_of([300] * 20, [float(v) for v in range(20)])
    inside = np.zeros((4, 5), dtype=bool)
    inside[0, :2] = True
    masked = block.keep(np.ones(300, dtype=bool), inside)
    assert choose_samples(masked.whole) == choose_samples(block)
    assert np.diff(masked.offsets).sum() == 600


def test_a_block_with_few_pixels_has_fewer_samples_and_an_empty_one_none() -> None:
    assert choose_samples(block_of([50, 0, 0, 0, 0], [1.0] * 5)) == [0]
    assert choose_samples(block_of([0] * 5, [1.0] * 5)) == []


def test_companions_are_near_alike_and_have_many_pairs() -> None:
    counts = [FEW + 100] * 25
    counts[12], counts[13] = 60, FEW - 1
    speeds = [100.0] * 25
    speeds[11] = 1000.0  # beside it, and another kind of ice
    found = choose_companions(block_of(counts, speeds), 12)
    numbers = found.numbers.tolist()
    assert 12 not in numbers
    assert not {11, 13} & set(numbers)
    assert {7, 17} <= set(numbers)
    near = dict(zip(numbers, found.nearness.tolist(), strict=True))
    assert near[7] == max(near.values())
    assert near[7] > near.get(2, 0.0)


def test_a_pixel_that_cannot_tell_its_speed_has_no_companions() -> None:
    counts = [FEW] * 25
    counts[12] = 1
    assert len(choose_companions(block_of(counts, [100.0] * 25), 12).numbers) == 0
