"""Where estimates are computed: what there is, what pays, and clear words where it cannot be."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import itslive_core as itslive
from itslive_core.errors import DeviceError, ItsliveError, SettingsError
from itslive_core.estimators import estimator_of
from itslive_core.inversion.banded import BandedSolver
from itslive_core.inversion.learning.solver import LearningSolver
from itslive_core.inversion.prepare import solve_options, solver_for
from itslive_core.inversion.torch.block_tridiagonal import BlockTridiagonalSolver, multiplications
from itslive_core.support import devices
from itslive_core.support.devices import Device, find_devices, gpu_pays, pick_device, require_cuda
from tests.inversion.batches import make_batch
from tests.waiting import seconds

if TYPE_CHECKING:
    from itslive_core.inversion.solver import PixelBatch
    from itslive_core.settings import Settings

PLAIN = itslive.InversionSettings(smoothing=30.0)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that torch finds a GPU."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    about = SimpleNamespace(name="A fine GPU", total_memory=80 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: about)
    monkeypatch.setattr(devices, "_driver_is_there", lambda: True)


def test_the_cpu_is_always_there() -> None:
    cpu = find_devices()[0]
    assert cpu.kind == "cpu"
    assert cpu.memory > 2**28
    assert "core" in str(cpu)
    assert str(cpu).endswith(" GB")
    assert str(Device("cpu", "CPU", 0)) == "CPU"


def test_a_gpu_is_listed_with_name_and_memory(gpu: None) -> None:
    assert [str(d) for d in find_devices()[1:]] == ["A fine GPU, 80 GB"]


def test_without_torch_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(devices, "_driver_is_there", lambda: True)
    assert [d.kind for d in find_devices()] == ["cpu"]
    assert pick_device("auto", 10**6, 1e15) == "cpu"
    with pytest.raises(SettingsError, match=r"itslive-dashboard\[gpu\]"):
        require_cuda()


def test_torch_is_imported_only_to_ask_for_a_gpu_that_may_be_there() -> None:
    code = (
        "import sys; from itslive_core.support import devices; devices._driver_is_there = lambda: False;"
        " devices.pick_device('cpu', 10**6, 1e15); devices.pick_device('auto', 10**6, 1e15);"
        " devices._driver_is_there = lambda: True; devices.pick_device('auto', 1, 1e15);"
        " assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_gpu_that_is_not_there_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    pairs = itslive.ImagePairs.from_arrays(np.arange(20.0), np.arange(20.0) + 30, np.ones(20), np.ones(20))
    with pytest.raises(SettingsError, match="no CUDA device on this machine, choose device 'cpu' or 'auto'"):
        itslive.invert(pairs, replace(PLAIN, device="cuda"))
    with pytest.raises(SettingsError, match="of a single point runs on the CPU"):
        itslive.fit_gaussian_process(pairs, itslive.GaussianProcessSettings(device="cuda"))


def test_a_click_stays_on_the_cpu_and_large_work_does_not(gpu: None) -> None:
    assert not gpu_pays(1, 1e15)
    assert not gpu_pays(1000, 1e6)
    assert gpu_pays(1000, 1e11)
    assert pick_device("auto", 1, 1e15) == "cpu"
    assert pick_device("auto", 1000, 1e11) == "cuda"
    assert pick_device("cpu", 1000, 1e11) == "cpu"
    assert pick_device("cuda", 1, 1.0) == "cuda"


def test_each_task_gets_its_solver(gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    batch, options = make_batch(1, 12.0, n=40), solve_options(PLAIN)
    assert isinstance(solver_for("auto", options, batch), BandedSolver)
    assert isinstance(solver_for("auto", options), BandedSolver)
    assert isinstance(solver_for("cuda", options), BlockTridiagonalSolver)
    monkeypatch.setattr("itslive_core.inversion.prepare.pick_device", lambda *_: "cuda")
    assert isinstance(solver_for("auto", options, batch), BlockTridiagonalSolver)
    learning = solve_options(itslive.InversionSettings())
    assert isinstance(solver_for("auto", learning, batch), LearningSolver)
    assert isinstance(solver_for("cuda", learning), LearningSolver)
    alone = solve_options(itslive.InversionSettings(learn="pixel"))
    with pytest.raises(SettingsError, match="device 'cuda' has nothing to do"):
        solver_for("cuda", alone)
    formal = itslive.InversionSettings(
        smoothing="evidence", noise="formal", offsets="none", smoothing_in_time="constant"
    )
    assert isinstance(solver_for("cuda", solve_options(formal)), BlockTridiagonalSolver)


def test_work_grows_with_what_is_asked() -> None:
    coarse, fine = make_batch(1, 24.0), make_batch(1, 6.0)
    plain = replace(PLAIN, robust=False, uncertainty=False)

    def work(batch: PixelBatch, settings: itslive.InversionSettings) -> float:
        return multiplications(batch.n_pixels, batch.operator, solve_options(settings))

    assert work(fine, plain) / work(coarse, plain) == pytest.approx(64, rel=0.3)
    for more in (replace(PLAIN, uncertainty=False), replace(PLAIN, robust=False)):
        assert work(fine, more) > work(fine, plain)


def test_whole_glaciers_ask_before_they_begin(gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def begin(settings: Settings) -> None:
        itslive.run_glacier([], bbox=(0.0, 0.0, 1.0, 1.0), settings=settings)

    with pytest.raises(SettingsError, match="has nothing to do"):
        begin(itslive.InversionSettings(device="cuda", learn="pixel"))
    process = itslive.GaussianProcessSettings(device="cuda")
    coupled = replace(PLAIN, device="cuda", spatial_smoothing="auto")
    defaults = itslive.InversionSettings(device="cuda")
    for possible in (replace(PLAIN, device="cuda"), coupled, process, defaults):
        with pytest.raises(ItsliveError, match="cube"):  # there is none: the device was not the obstacle
            begin(possible)
    monkeypatch.setattr(devices, "_cuda_is_there", lambda: False)
    with pytest.raises(SettingsError, match="no CUDA device"):
        begin(process)


def test_blocks_are_read_while_the_device_works(gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread at a time solves; with one worker asked for, another one reads meanwhile."""
    from itslive_core.demo import demo_path
    from itslive_core.inversion.torch import block_tridiagonal
    from itslive_core.jobs import glacier as job

    cube = itslive.open_cube(demo_path().cubes[0])
    recent = itslive.PairSelection(start="2022")
    box = (-50.135, 69.31, -50.115, 69.317)
    settings = itslive.InversionSettings(smoothing=100.0, interval=48.0, outliers="none")
    expected = {r.name: r for r in itslive.run_glacier([cube], None, settings, selection=recent, bbox=box)}
    assert len(expected) > 1
    read_again, working, most = threading.Event(), [0], [0]
    reads: list[object] = []
    real_read, real_solve = type(cube).read_block, block_tridiagonal._Group.solve

    def read(self: itslive.Datacube, block: object, **options: bool) -> object:
        reads.append(block)
        if len(reads) > 1:
            read_again.set()
        return real_read(self, block, **options)

    def solve(self: block_tridiagonal._Group) -> None:
        working[0] += 1
        most[0] = max(most[0], working[0])
        assert read_again.wait(seconds(20))
        real_solve(self)
        working[0] -= 1

    monkeypatch.setattr(type(cube), "read_block", read)
    monkeypatch.setattr(block_tridiagonal._Group, "solve", solve)
    monkeypatch.setattr(
        "itslive_core.inversion.prepare.BlockTridiagonalSolver", lambda: BlockTridiagonalSolver("cpu")
    )
    on_device = replace(settings, device="cuda")
    found = list(job.run_glacier([cube], None, on_device, selection=recent, bbox=box, workers=1))
    assert most[0] == 1
    assert {r.name for r in found} == set(expected)
    for result in found:
        assert result.error is None
        for name, values in result.arrays.items():
            np.testing.assert_allclose(values, expected[result.name].arrays[name], rtol=1e-5, atol=1e-5)


def test_the_command_line_asks_before_it_reads(gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def check_device(settings: Settings) -> None:
        estimator_of(settings).check(settings, area=True)

    possible = [replace(PLAIN, device="cuda"), itslive.GaussianProcessSettings(device="cuda")]
    for settings in possible:
        check_device(settings)
    with pytest.raises(SettingsError, match="has nothing to do"):
        check_device(itslive.InversionSettings(device="cuda", learn="pixel"))
    monkeypatch.setattr(devices, "_cuda_is_there", lambda: False)
    check_device(PLAIN)
    for settings in possible:
        with pytest.raises(DeviceError, match="no CUDA device"):
            check_device(settings)
