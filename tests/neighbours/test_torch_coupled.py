"""Spatial smoothing in torch: the same results as the compiled engine, in whatever memory there is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from itslive_core import InversionSettings
from itslive_core.errors import SettingsError
from itslive_core.neighbours import torch_coupled
from itslive_core.neighbours.patches import Patch
from itslive_core.neighbours.torch_coupled import TorchCoupledPixels
from itslive_core.observations.blocks import Block
from tests.coupled_area import SimulatedArea

if TYPE_CHECKING:
    from collections.abc import Callable

    from itslive_core.neighbours.coupled import CoupledPixels

torch = pytest.importorskip("torch")

PLAIN = InversionSettings(smoothing=300.0, robust=False, outliers="none", weights="error")
LEARNING = InversionSettings(outliers="none")
MU = 0.3


def problem(settings: InversionSettings, shape: tuple[int, int] = (4, 5)) -> CoupledPixels:
    """The pixels of a small area, of which some have no pairs, and some none of the first years."""
    area = SimulatedArea(shape)
    area.seen[1, 1] = False
    area.seen[3, :2, :60] = False
    area.seen[0, 4, area.pairs.end > np.median(area.pairs.end)] = False
    blocks, shared, mask = area.prepare(settings)
    fits = blocks.fit(blocks.tasks, shared, mask)
    return Patch.join(fits, Block(0, shape[0], 0, shape[1]), shared, settings).pixels


def assert_same(found: np.ndarray, expected: np.ndarray, tolerance: float = 1e-9) -> None:
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    assert np.nanmax(np.abs(found - expected)) <= tolerance * np.nanmax(np.abs(expected))


@pytest.mark.parametrize("derivative", [1, 2])
@pytest.mark.parametrize(
    ("settings", "interval"),
    [(PLAIN, 12.0), (PLAIN, 24.0), (PLAIN, 48.0), (LEARNING, 24.0), (LEARNING, 48.0)],
    ids=lambda value: f"{value:g}" if isinstance(value, float) else value.noise,
)
def test_equals_the_compiled_engine(settings: InversionSettings, interval: float, derivative: int) -> None:
    pixels = problem(replace(settings, interval=interval, derivative=derivative))
    device = TorchCoupledPixels(pixels, "cpu")
    for tolerance in (1e-5, 1e-12):
        expected, found = (engine.solve(MU, tolerance=tolerance) for engine in (pixels, device))
        assert found.iterations > 1
        assert abs(found.iterations - expected.iterations) <= 2  # at the tighter one rounding decides
        assert found.residual <= tolerance
        assert_same(found.flat, expected.flat)
    wanted = np.array([7, 3, 0, 18, 4])
    ratio = device.variance_ratio(MU, wanted)
    assert_same(ratio, pixels.variance_ratio(MU, wanted), 1e-8)
    assert np.nanmin(ratio) < 0.95


def test_goes_on_from_where_it_is() -> None:
    pixels = problem(replace(PLAIN, interval=48.0))
    device = TorchCoupledPixels(pixels, "cpu")
    begun = device.solve(MU, tolerance=1e-8)
    fresh = pixels.solve(0.9 * MU, start=begun.flat)
    assert_same(device.solve(0.9 * MU, start=begun.flat).flat, fresh.flat)
    assert_same(device.solve(0.0, tolerance=1e-12).flat, pixels.solve(0.0, tolerance=1e-12).flat)


def test_factors_without_room_on_the_device_stay_with_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = problem(replace(PLAIN, interval=48.0))
    moved: list[object] = []
    real = torch_coupled.BlockCholesky.to

    def to(self: torch_coupled.BlockCholesky, device: object) -> torch_coupled.BlockCholesky:
        moved.append(device)
        return real(self, device)

    monkeypatch.setattr(torch_coupled.BlockCholesky, "to", to)
    few = TorchCoupledPixels(pixels, "cpu", memory=2**20)
    found = few.solve(MU)
    assert moved.count("cpu") >= 2  # the others are torch's own name of the device, when they are used
    assert_same(found.flat, pixels.solve(MU).flat)
    wanted = np.arange(19)
    assert_same(few.variance_ratio(MU, wanted), pixels.variance_ratio(MU, wanted))


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (torch_coupled._Pixels, "normal"),
        (torch_coupled._RedPixels, "improve"),
        (torch_coupled, "_variance_ratio"),
    ],
)
def test_halves_what_it_takes_when_memory_is_exhausted(
    monkeypatch: pytest.MonkeyPatch, where: object, name: str
) -> None:
    pixels = problem(replace(PLAIN, interval=48.0))
    device = TorchCoupledPixels(pixels, "cpu", memory=2**24)
    real: Callable[..., object] = getattr(where, name)
    failures = iter([True, True])
    memory: list[int] = []
    cut = torch_coupled.runs

    def runs(needs: np.ndarray, room: int) -> object:
        memory.append(room)
        return cut(needs, room)

    monkeypatch.setattr(torch_coupled, "runs", runs)

    def fail(*arguments: object) -> object:
        if next(failures, False):
            raise torch.cuda.OutOfMemoryError("none left")
        return real(*arguments)

    monkeypatch.setattr(where, name, fail)
    assert_same(device.solve(MU).flat, pixels.solve(MU).flat)
    assert_same(device.variance_ratio(MU, np.arange(19)), pixels.variance_ratio(MU, np.arange(19)))
    assert min(memory) * 4 == max(memory)


def test_pixels_that_take_no_part_and_empty_problems() -> None:
    pixels = problem(replace(PLAIN, interval=48.0))
    layout = pixels.layout
    nobody = replace(pixels, layout=layout._replace(size=np.zeros_like(layout.size)), flat=np.empty(0))
    device = TorchCoupledPixels(nobody, "cpu")
    assert len(device.solve(MU).flat) == 0
    assert np.isnan(device.variance_ratio(MU, np.arange(19))).all()


def test_says_when_not_even_one_pixel_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = problem(replace(PLAIN, interval=48.0))

    def fail(*_: object) -> None:
        raise torch.cuda.OutOfMemoryError("none left")

    monkeypatch.setattr(torch_coupled.BlockCholesky, "of", fail)
    with pytest.raises(SettingsError, match=r"one pixel needs about .* choose a longer interval"):
        TorchCoupledPixels(pixels, "cpu", memory=2**24).solve(MU)


def test_a_singular_pixel_is_told() -> None:
    pixels = problem(replace(PLAIN, interval=48.0))
    seen = pixels.observed._replace(weights=-pixels.observed.weights)
    broken = replace(pixels, observed=seen)
    for engine in (broken, TorchCoupledPixels(broken, "cpu")):
        with pytest.raises(np.linalg.LinAlgError, match="singular"):
            engine.solve(MU)
