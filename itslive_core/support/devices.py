"""What can compute: this machine's cores, and its CUDA devices, if torch is there to drive them.

Importing this module imports no torch; asking for devices does, where torch and a GPU's driver are installed.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
from dataclasses import dataclass
from functools import lru_cache

from itslive_core.errors import DeviceError

__all__ = ["Device", "find_devices", "gpu_pays", "pick_device", "require_cuda"]

_LEAST_PIXELS = 32
_LEAST_WORK = 1e10


@dataclass(frozen=True)
class Device:
    """Something that computes.

    Parameters
    ----------
    kind : {"cpu", "cuda"}
    name : str
        For people, for instance the model of the GPU.
    memory : int
        Its memory [bytes]; 0 if unknown.
    """

    kind: str
    name: str
    memory: int

    def __str__(self) -> str:
        """Name and memory, as the dashboard shows them."""
        return f"{self.name}, {self.memory / 2**30:.0f} GB" if self.memory else self.name


def find_devices() -> tuple[Device, ...]:
    """List the devices of this machine: the CPU, then CUDA devices; imports torch where there is a driver."""
    found = [Device("cpu", _cpu_name(), _cpu_memory())]
    if _cuda_is_there():
        import torch

        for number in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(number)
            found.append(Device("cuda", str(about.name), int(about.total_memory)))
    return tuple(found)


def require_cuda() -> None:
    """Find out whether a GPU that was asked for is there.

    Raises
    ------
    DeviceError
        If torch is not installed or finds no CUDA device.
    """
    if importlib.util.find_spec("torch") is None:
        raise DeviceError(
            "device 'cuda' needs torch: pip install 'itslive-dashboard[gpu]', or choose device 'cpu'"
        )
    if not _cuda_is_there():
        raise DeviceError(
            "device 'cuda': torch finds no CUDA device on this machine, choose device 'cpu' or 'auto'"
        )


def gpu_pays(pixels: int, work: float) -> bool:
    """Tell whether a batch is large enough to send to a GPU rather than to the CPU's compiled code.

    From 32 pixels and 1e10 multiplications on. This is an estimate, not a measurement: no GPU was at hand.
    It counts a second of one core (compiled code does about 1e10 multiplications a second) against some
    hundred products in a row, which a GPU starts in some milliseconds but fills only with many pixels.
    Below it, reading the pixels takes longer than estimating them, and one core does both.

    Parameters
    ----------
    pixels : int
        Pixels that are solved together.
    work : float
        Multiplications of all of them: for each band matrix its rows times its squared half-bandwidth.
    """
    return pixels >= _LEAST_PIXELS and work >= _LEAST_WORK


def pick_device(device: str, pixels: int, work: float) -> str:
    """Choose where to compute a batch.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
        ``"auto"`` takes a GPU that is there, where it should pay; see `gpu_pays`.
    pixels, work
        As for `gpu_pays`.

    Returns
    -------
    {"cpu", "cuda"}

    Raises
    ------
    DeviceError
        If ``"cuda"`` is asked for and not there.
    """
    if device == "cuda":
        require_cuda()
        return "cuda"
    wanted = device == "auto" and gpu_pays(pixels, work)
    return "cuda" if wanted and _cuda_is_there() else "cpu"


def _cuda_is_there() -> bool:
    if importlib.util.find_spec("torch") is None or not _driver_is_there():
        return False
    import torch

    return bool(torch.cuda.is_available())


@lru_cache(maxsize=1)
def _driver_is_there() -> bool:
    """Look for the driver of NVIDIA's GPUs: where there is none, torch need not be imported to be asked."""
    try:
        ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return False
    return True


def _cpu_name() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"CPU, {cores} core{'s' if cores > 1 else ''}"


def _cpu_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not told by this system
        return 0
