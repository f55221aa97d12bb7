"""Which processor to use, and how much of it."""

import os
from typing import Literal, TypeAlias

import torch

from napari_dycon.errors import TrainingError

DeviceName: TypeAlias = Literal["cpu", "cuda", "mps"]


def resolve_device(wish: str = "auto") -> DeviceName:
    """Turn "auto" into the best processor of this machine and check an explicit wish.

    Raises
    ------
    TrainingError
        When the wished processor is unknown or not there.
    """
    there: dict[str, bool] = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wish == "auto":
        wish = next(name for name, found in there.items() if found)
    if not there.get(wish, False):
        names = ", ".join(name for name, found in there.items() if found)
        raise TrainingError(f"The device '{wish}' is not available here; use one of: auto, {names}.")
    if wish == "cuda":
        return "cuda"
    return "mps" if wish == "mps" else "cpu"


def available_cores() -> int:
    """Number of processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def configure_threads(threads: int | None = None) -> int:
    """Set how many cores torch uses in the calling thread; None means all of them. Returns the number."""
    count = max(1, min(threads or available_cores(), available_cores()))
    torch.set_num_threads(count)
    return count


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
