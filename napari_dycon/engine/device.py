"""Which processor to use, and how much of it."""

import ctypes
import sys
import time
from functools import cache
from typing import Literal, TypeAlias

import psutil
import torch

from napari_dycon.engine.processor import available_cores
from napari_dycon.errors import TrainingError

DeviceName: TypeAlias = Literal["cpu", "cuda", "mps"]

TRIALS = 5
FASTER = 1.15
"""Mixed bfloat16 must be so many times as fast to be used on a CPU."""


def resolve_device(wish: str = "auto") -> DeviceName:
    """Turn "auto" into the best processor of this machine and check an explicit wish.

    Raises
    ------
    TrainingError
        When the wished processor is unknown or not there.
    """
    there: dict[str, bool] = {
        "cuda": torch.cuda.is_available() and not card_fault(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wish == "auto":
        wish = next(name for name, found in there.items() if found)
    if not there.get(wish, False):
        names = ", ".join(name for name, found in there.items() if found)
        fault = f": {card_fault()}" if wish == "cuda" and torch.cuda.is_available() else ""
        raise TrainingError(f"The device '{wish}' is not available here{fault}; use one of: auto, {names}.")
    if wish == "cuda":
        return "cuda"
    return "mps" if wish == "mps" else "cpu"


@cache
def card_fault() -> str:
    """Why the graphics card that is there cannot compute, tried with a small task; empty where it can.

    PyTorch finds cards too old or too new for which it was built without kernels.
    """
    try:
        image = torch.ones((1, 1, 4, 4, 4), device="cuda")
        torch.nn.functional.conv3d(image, image[..., :3, :3, :3]).sum().item()
    except (RuntimeError, AssertionError) as error:
        return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return ""


def configure_threads(threads: int | None = None) -> int:
    """Set how many cores torch uses in the calling thread; None means all of them. Returns the number."""
    count = max(1, min(threads or available_cores(), available_cores()))
    torch.set_num_threads(count)
    keep_freed_memory()
    return count


@cache
def fast_bfloat16() -> bool:
    """Whether this CPU is clearly faster in mixed bfloat16: it has the instructions, and a trial says so."""
    names = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    if not any(getattr(torch.cpu, name, bool)() for name in names):
        return False
    with torch.inference_mode(False), torch.enable_grad():
        plain, mixed = (min(times) for times in zip(*(_trial() for _ in range(TRIALS)), strict=True))
    return bool(plain > FASTER * mixed)


def _trial() -> tuple[float, float]:
    """Seconds of one pass through two convolutions and back, plain and in mixed bfloat16."""
    image = torch.ones(1, 16, 32, 32, 16)
    there, back = (torch.ones(*shape, 3, 3, 3, requires_grad=True) for shape in ((32, 16), (16, 32)))
    seconds = []
    for mixed in (False, True):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            features = torch.nn.functional.conv3d(image, there, padding=1)
            total = torch.nn.functional.conv3d(features, back, padding=1).float().sum()
            torch.autograd.backward(total)
        seconds.append(time.perf_counter() - start)
    return seconds[0], seconds[1]


@cache
def keep_freed_memory() -> bool:
    """Let the C library keep freed blocks of up to 32 MiB for the next step; Linux with glibc only.

    By default it returns many to the system and has every page of the next one cleared anew, which takes a
    good part of a training step on a CPU. Returns whether it could be asked.
    """
    if not sys.platform.startswith("linux"):
        return False
    trim_threshold, mmap_threshold = -1, -3  # names of mallopt(3)
    try:
        options = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(options(mmap_threshold, 32 * 2**20)) and bool(options(trim_threshold, 2**31 - 1))


def free_memory() -> int:
    """Bytes of main memory that are free now."""
    return int(psutil.virtual_memory().available)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch means that memory ran out, on any device."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
    )


def release_memory(device: DeviceName) -> None:
    """Give unused memory back to the device."""
    if device == "cuda":
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()
