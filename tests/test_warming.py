"""Kernels are there before somebody waits for them, and whoever waits is told."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from itslive_core import warming
from itslive_core.cli.reporting import Reporter
from itslive_core.support.compiled import COMPILING, watch_compilation
from itslive_core.warming import FIRST_STAGES, KernelStages
from tests.waiting import seconds, until

ROOT = Path(__file__).resolve().parents[1]

COVERED = """
import sys
import numpy as np
from numba.core.dispatcher import Dispatcher
import itslive_core as itslive

def kernels():
    return {
        (name, one, signature)
        for name, module in list(sys.modules.items()) if name.startswith("itslive_core")
        for one, value in vars(module).items() if isinstance(value, Dispatcher)
        for signature in map(str, value.signatures)
    }

itslive.warm_up("reading", "inversion")
before = kernels()
rng = np.random.default_rng(1)
dates = np.sort(rng.uniform(12_000, 19_000, 400))
first = np.repeat(np.arange(390), 4)
later = first + np.tile([1, 2, 5, 9], 390)
noise = rng.normal(0, 9, (2, 400))
vx, vy = 300 + noise[:, first] + rng.normal(0, 3, (2, len(first)))
pairs = itslive.ImagePairs.from_arrays(dates[first], dates[later], vx, vy, vx_error=np.full(len(first), 4.0))
itslive.invert(pairs)
itslive.invert(pairs, itslive.InversionSettings(smoothing=30.0))
print(*sorted(kernels() - before), sep="\\n")
"""


def test_nothing_is_left_to_compile_for_a_first_series():
    run = subprocess.run(
        [sys.executable, "-c", COVERED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == ""


@pytest.fixture
def workshop(monkeypatch, tmp_path) -> list[str]:
    """What was compiled elsewhere and what was loaded, in turn; nothing really is."""
    done: list[str] = []
    monkeypatch.setattr(warming, "_sign", lambda stage: tmp_path / stage)

    def compile_elsewhere(stage: str) -> None:
        done.append(f"compile {stage}")
        if stage != "broken":
            (tmp_path / stage).touch()

    monkeypatch.setattr(warming, "_compile_elsewhere", compile_elsewhere)
    monkeypatch.setattr(warming, "warm_up", lambda stage: done.append(f"load {stage}"))
    return done


def test_stages_are_compiled_elsewhere_and_then_loaded(workshop):
    kernels = KernelStages()
    kernels.wait(FIRST_STAGES)
    assert kernels.ready(FIRST_STAGES)
    assert workshop == ["compile reading", "load reading", "compile inversion", "load inversion"]
    kernels.wait(("season",))
    kernels.wait(("season", "reading"))
    assert workshop[4:] == ["compile season", "load season"]


def test_what_is_compiled_already_is_only_loaded(workshop, tmp_path):
    (tmp_path / "reading").touch()
    KernelStages(()).wait(("reading",))
    assert workshop == ["load reading"]


def test_nobody_waits_for_ever_for_what_cannot_be_made(workshop):
    kernels = KernelStages(())
    kernels.wait(("broken",))
    assert kernels.ready(("broken",))
    assert workshop == ["compile broken"]


def test_what_is_asked_for_comes_first_and_who_waits_may_leave(monkeypatch, workshop):
    begun, gate = threading.Event(), threading.Event()
    real = warming._compile_elsewhere

    def held(stage: str) -> None:
        begun.set()
        gate.wait(seconds(10))
        real(stage)

    monkeypatch.setattr(warming, "_compile_elsewhere", held)
    kernels = KernelStages(("reading", "inversion"))
    begun.wait(seconds(10))
    kernels.wait(("neighbours",), should_stop=lambda: True)
    assert not kernels.ready(("neighbours",))
    gate.set()
    until(lambda: kernels.ready(("reading", "inversion", "neighbours")))
    assert [one for one in workshop if one.startswith("load")] == [
        "load reading",
        "load neighbours",
        "load inversion",
    ]


SAID = """
import sys
from itslive_core.support.compiled import kernel, watch_compilation

@kernel()
def double(x):
    return 2 * x

double.py_func.__module__ = "itslive_core.toy"
said = []
if "watched" in sys.argv:
    with watch_compilation(lambda: said.append(1)):
        double(1), double(1.0)
else:
    double(1), double(1.0)
print(len(said))
"""


@pytest.mark.parametrize("watched", [False, True])
def test_who_waits_for_the_compiler_is_told_once(watched, tmp_path):
    """A script or a notebook by the log; who watches says it in his own way."""
    script = tmp_path / "script.py"
    script.write_text(SAID)
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "kernels"), "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, str(script), *(["watched"] if watched else [])],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == ("1" if watched else "0")
    assert run.stderr.count(COMPILING) == (0 if watched else 1)


def test_the_shell_says_so_unless_it_is_to_be_quiet(monkeypatch, capsys):
    told = []

    def watch(tell):
        told.append(tell)
        return watch_compilation(tell)

    monkeypatch.setattr("itslive_core.support.compiled.watch_compilation", watch)
    for quiet in (False, True):
        with Reporter(quiet=quiet).compiling():
            told[-1]()
        assert (COMPILING in capsys.readouterr().err) is not quiet


def test_an_unknown_stage_is_named():
    with pytest.raises(ValueError, match="no stage of kernels is called 'nonsense': there are reading, "):
        warming.warm_up("nonsense")
