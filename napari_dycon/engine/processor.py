"""What can be said of this machine's processors without loading PyTorch."""

import os
import platform
import sys
from pathlib import Path

DRIVERS = ("/proc/driver/nvidia/version", "/dev/kfd", "C:/Windows/System32/nvcuda.dll")
"""What is there where a driver for a graphics card is."""


def available_cores() -> int:
    """Number of processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def likely_device(wish: str = "auto") -> str:
    """The device that a wish will come to: "cpu", "cuda" or "mps"; a card may still turn out unusable."""
    if wish != "auto":
        return wish
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return "mps"
    return "cuda" if any(Path(driver).exists() for driver in DRIVERS) else "cpu"
