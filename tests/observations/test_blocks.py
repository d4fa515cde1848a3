"""Blocks: observations packed pixel by pixel, held against plain numpy; and the cache of blocks."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from itslive_core.cubes.block_reader import BlockCache
from itslive_core.observations.blocks import (
    Block,
    PixelBlock,
    _gather,
    gather_chunk,
    median_velocity,
    merge_chunks,
)

HOLE = -32_767


def packed(vx: np.ndarray, vy: np.ndarray, first: int = 0, holes: tuple[int, int] = (HOLE, HOLE)):
    """What `gather_chunk` must give, one value at a time."""
    good = [np.isfinite(v) & ~np.isin(v, holes) for v in (vx, vy)]
    layers = [np.flatnonzero(good[0][:, p] & good[1][:, p]) for p in range(vx.shape[1])]
    return (
        np.array([len(rows) for rows in layers]),
        np.concatenate([first + rows for rows in layers]),
        np.concatenate([vx[rows, p] for p, rows in enumerate(layers)]),
        np.concatenate([vy[rows, p] for p, rows in enumerate(layers)]),
        (good[0] ^ good[1]).sum(axis=0),
    )


def whole_block(vx: np.ndarray, vy: np.ndarray, shape: tuple[int, int]) -> PixelBlock:
    counts, pair, x, y, partial = packed(vx, vy)
    return PixelBlock(
        Block(0, shape[0], 0, shape[1]),
        np.concatenate(([0], np.cumsum(counts))),
        pair.astype(np.int32),
        x.astype(np.float32),
        y.astype(np.float32),
        partial.astype(np.int32),
    )


def random_values(seed: int, layers: int, pixels: int, dtype: str = "i2") -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = [rng.integers(-300, 300, (layers, pixels)).astype(dtype) for _ in "xy"]
    empty = rng.random(layers) < 0.5
    for v in values:
        v[rng.random(v.shape) < 0.3] = HOLE
        v[empty] = HOLE
    return values[0], values[1]


@pytest.mark.parametrize("dtype", ["i2", "i4", "f4", "f8"])
def test_gathering_agrees_with_numpy(dtype):
    vx, vy = random_values(3, 200, 12, dtype)
    missing = np.array([HOLE, HOLE], dtype=dtype)
    for got, expected in zip(gather_chunk(vx, vy, 1_000, missing, missing), packed(vx, vy, 1_000)):
        np.testing.assert_array_equal(got, expected)


def test_read_only_chunks_are_no_type_of_their_own():
    vx, vy = random_values(4, 20, 3)
    missing = np.array([HOLE, HOLE], dtype=np.int16)
    expected = gather_chunk(vx, vy, 0, missing, missing)
    compiled = len(_gather.signatures)
    for x, y in ((vx, np.frombuffer(vy.tobytes(), vy.dtype).reshape(vy.shape)), (vx[:20], vy.copy())):
        for got, own in zip(gather_chunk(x, y, 0, missing, missing), expected):
            np.testing.assert_array_equal(got, own)
    assert len(_gather.signatures) == compiled
    assert vx.flags.writeable


@given(
    hnp.arrays(
        np.int16,
        st.tuples(st.just(2), st.integers(0, 7), st.integers(1, 5)),
        elements=st.sampled_from([HOLE, -9_999, -32_766, -32_768, 0, 7, 32_767]),
    )
)
def test_gathering_with_two_markers(values):
    vx, vy = values
    missing = np.array([HOLE, -9_999], dtype=np.int16)
    for got, expected in zip(gather_chunk(vx, vy, 0, missing, missing), packed(vx, vy, 0, (HOLE, -9_999))):
        np.testing.assert_array_equal(got, expected)


def test_gathering_drops_what_is_not_finite():
    vx = np.array([[1.0, np.nan], [np.inf, 2.0], [3.0, -np.inf]], dtype=np.float32)
    vy = np.array([[1.0, np.nan], [4.0, 2.0], [3.0, np.nan]], dtype=np.float32)
    missing = np.array([np.nan, np.nan], dtype=np.float32)
    counts, pair, x, _, partial = gather_chunk(vx, vy, 0, missing, missing)
    assert counts.tolist() == [2, 1]
    assert pair.tolist() == [0, 2, 1]
    assert x.tolist() == [1.0, 3.0, 2.0]
    assert partial.tolist() == [1, 0]


def test_markers_of_both_components_may_differ():
    vx = np.array([[-1, 5]], dtype=np.int16)
    vy = np.array([[-2, -1]], dtype=np.int16)
    marks = (np.array([-1, -1], dtype=np.int16), np.array([-2, -2], dtype=np.int16))
    counts, _, x, y, partial = gather_chunk(vx, vy, 0, *marks)
    assert counts.tolist() == [0, 1]
    assert (x.tolist(), y.tolist(), partial.tolist()) == ([5.0], [-1.0], [0, 0])


def test_chunks_merge_into_one_run_of_layers_a_pixel():
    vx, vy = random_values(5, 90, 6)
    missing = np.array([HOLE, HOLE], dtype=np.int16)
    pieces = [gather_chunk(vx[t : t + 40], vy[t : t + 40], t, missing, missing) for t in (0, 40, 80)]
    counts = np.stack([piece[0] for piece in pieces])
    offsets = np.concatenate(([0], np.cumsum(counts.sum(axis=0))))
    expected = packed(vx, vy)
    for k, dtype in ((1, np.int32), (2, np.float32), (3, np.float32)):
        column = np.empty(offsets[-1], dtype=dtype)
        for c, piece in enumerate(pieces):
            merge_chunks(counts, offsets, piece[k], column, c)
        np.testing.assert_array_equal(column, expected[k])


def test_pixel_finds_its_observations():
    vx, vy = random_values(7, 50, 6)
    block = Block(20, 22, 30, 33)
    inner = whole_block(vx, vy, (2, 3))
    pixels = PixelBlock(block, inner.offsets, inner.pair, inner.vx, inner.vy, inner.n_partial)
    assert block.shape == (2, 3)
    for row in (20, 21):
        for col in (30, 31, 32):
            where, p = pixels.pixel(row, col)
            assert p == (row - 20) * 3 + col - 30
            good = (vx[:, p] != HOLE) & (vy[:, p] != HOLE)
            np.testing.assert_array_equal(pixels.pair[where], np.flatnonzero(good))
            np.testing.assert_array_equal(pixels.vx[where], vx[good, p])


def test_keeping_some_pairs_in_some_pixels():
    vx, vy = random_values(9, 60, 6)
    pixels = whole_block(vx, vy, (2, 3))
    rng = np.random.default_rng(0)
    pairs = rng.random(60) < 0.4
    mask = np.array([[True, False, True], [False, True, True]])
    kept = pixels.keep(pairs, mask)
    for p in range(6):
        row, col = divmod(p, 3)
        before, after = pixels.pixel(row, col)[0], kept.pixel(row, col)[0]
        expected = pixels.pair[before][pairs[pixels.pair[before]]] if mask[row, col] else []
        np.testing.assert_array_equal(kept.pair[after], expected)
    np.testing.assert_array_equal(kept.n_partial, pixels.n_partial)
    assert pixels.keep(np.ones(60, dtype=bool)) is pixels
    nothing = pixels.keep(np.zeros(60, dtype=bool))
    assert len(nothing.pair) == 0
    assert nothing.offsets.tolist() == [0] * 7


def test_memory_is_that_of_the_arrays():
    pixels = whole_block(*random_values(1, 30, 4), (2, 2))
    assert pixels.nbytes == 5 * 8 + 12 * len(pixels.pair) + 4 * 4


def test_median_is_that_of_the_vector():
    vx, vy = random_values(11, 80, 6)
    vx[:, 0] = HOLE
    vx[2:, 1] = HOLE
    pixels = whole_block(vx, vy, (2, 3))
    got = median_velocity(pixels)
    assert got.shape == (6, 2)
    for p in range(6):
        where, _ = pixels.pixel(*divmod(p, 3))
        if len(pixels.pair[where]) < 3:
            assert np.isnan(got[p]).all()
        else:
            np.testing.assert_allclose(got[p], [np.median(pixels.vx[where]), np.median(pixels.vy[where])])
    assert np.isnan(got[0]).all()
    assert np.isfinite(median_velocity(pixels, least=1)).sum() >= np.isfinite(got).sum()


def test_two_threads_wait_for_one_another_at_a_block():
    cache = BlockCache(limit=1e6)
    block, other = Block(0, 1, 0, 1), Block(0, 1, 1, 2)
    assert cache.reader_lock(block) is cache.reader_lock(block)
    assert cache.reader_lock(block) is not cache.reader_lock(other)


def test_many_threads_keep_the_size_of_the_cache_right():
    pixels = {n: whole_block(*random_values(n, 40, 4), (2, 2)) for n in range(12)}
    blocks = {
        n: PixelBlock(Block(n, n + 2, 0, 2), p.offsets, p.pair, p.vx, p.vy, p.n_partial)
        for n, p in pixels.items()
    }
    cache = BlockCache(limit=3.5 * max(p.nbytes for p in blocks.values()))

    def work(seed: int) -> None:
        for n in np.random.default_rng(seed).integers(0, 12, 200):
            if cache.get(blocks[n].block) is None:
                cache.put(blocks[n])

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0 < cache.size <= cache.limit
    assert cache.size == sum(p.nbytes for p in cache.blocks.values())
