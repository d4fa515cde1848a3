"""Quality in sentences."""

from __future__ import annotations

import numpy as np

from itslive_core.series.quality import FLAGS
from itslive_core.series.warnings import count_pixels, warnings_of, warnings_of_area, words_of

TIMES = np.arange("2003-11-15", "2004-03-15", 30, dtype="datetime64[D]").astype("datetime64[ns]")


def test_nothing_to_say_is_said_with_nothing():
    assert warnings_of(np.zeros(4, dtype=np.int16), np.ones(4, dtype=bool), TIMES[:4]) == ""
    assert warnings_of(np.empty(0, dtype=np.int16), np.empty(0, dtype=bool), TIMES[:0]) == ""
    assert warnings_of_area(np.zeros(1 + len(FLAGS), dtype=int)) == ""


def test_sentences_count_cells_with_a_value_and_name_their_time():
    quality = np.array([1, 1 | 8, 32, 1], dtype=np.int16)
    known = np.array([True, True, False, True])
    assert warnings_of(quality, known, TIMES[:4]).splitlines() == [
        "All 3 cells rest on fewer than 3 image pairs.",
        "The flow is reversed against its median direction in 1 of 3 cells (2003-12).",
    ]
    quality[0] = 2
    assert warnings_of(quality, known, TIMES[:4]).splitlines()[:2] == [
        "2 of 3 cells rest on fewer than 3 image pairs (2003-12 to 2004-02).",
        "One mission alone sees 1 of 3 cells (2003-11).",
    ]


def test_every_flag_has_words():
    everything = np.full(2, (1 << len(FLAGS)) - 1, dtype=np.int16)
    lines = warnings_of(everything, np.ones(2, dtype=bool), TIMES[:2]).splitlines()
    assert len(lines) == len(FLAGS)
    assert all(line.endswith(".") and line[0].isupper() for line in lines)
    assert len(warnings_of_area(np.arange(10, 10 + 1 + len(FLAGS))).splitlines()) == len(FLAGS)
    assert words_of(np.array([0, 1, 8 | 2]))[:2] == ["", "rests on fewer than 3 image pairs"]
    assert words_of(np.array([10])) == ["one mission only, flow reversed"]


def test_an_area_counts_pixels():
    quality = np.zeros((3, 2, 2), dtype=np.int16)
    quality[1, 0, 0] = 8
    quality[2, 0, 1] = 8 | 16
    known = np.ones((3, 2, 2), dtype=bool)
    known[:, 1, 1] = known[2, 0, 1] = False
    counts = count_pixels(quality, known)
    assert counts.tolist() == [3, 0, 0, 0, 1, 0, 0]
    assert warnings_of_area(counts) == "In 1 of 3 pixels some cells flow against the median direction."
