"""Results that are made once."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from itslive_core.support.memo import Memo


def test_a_result_is_made_once() -> None:
    memo, made = Memo(2), []

    def make() -> str:
        made.append(1)
        return "ice"

    assert [memo.get("a", make) for _ in range(3)] == ["ice"] * 3
    assert len(made) == 1


def test_the_oldest_goes_first() -> None:
    memo, made = Memo(2), []
    for key in ("a", "b", "a", "c", "a", "b"):
        memo.get(key, lambda key=key: made.append(key))
    assert made == ["a", "b", "c", "b"]


def test_who_asks_meanwhile_waits_for_the_first() -> None:
    memo, begun, go, made = Memo(4), Event(), Event(), []

    def make() -> int:
        begun.set()
        go.wait()
        made.append(1)
        return len(made)

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(memo.get, "a", make)
        begun.wait()
        others = [pool.submit(memo.get, "a", make) for _ in range(2)]
        go.set()
        assert [first.result(), *(other.result() for other in others)] == [1, 1, 1]


def test_a_failure_is_not_kept() -> None:
    memo = Memo(2)
    with pytest.raises(ZeroDivisionError):
        memo.get("a", lambda: 1 / 0)
    assert memo.get("a", lambda: 5) == 5


def test_a_copy_begins_empty() -> None:
    memo = Memo(2)
    memo.get("a", lambda: 1)
    assert pickle.loads(pickle.dumps(memo)).get("a", lambda: 2) == 2
