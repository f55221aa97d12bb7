"""What this machine offers, what is wrong with it, and how to mend that."""

import importlib
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import psutil

from napari_dycon import __version__
from napari_dycon.doctor.display import find_display

Level = Literal["ok", "advice", "unusable"]

GIB = 2**30
LITTLE_MEMORY_GIB = 6
LITTLE_DISK_GIB = 5
MANY = 5
"""Fewer devices are named one by one."""
CUDA_WHEELS = "https://download.pytorch.org/whl/cu130"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; ``remedy`` says what to do unless all is well."""

    topic: str
    text: str
    level: Level = "ok"
    remedy: str = ""


def examine(folder: Path | None = None) -> list[Finding]:
    """Look at versions, processor, memory, disk, display and the napari plugin.

    Parameters
    ----------
    folder : Path, optional
        Where studies will be kept; the current folder by default.
    """
    return [
        *_versions(),
        *_device(),
        _memory(),
        _disk(folder or Path.cwd()),
        _display(),
        _plugin(),
    ]


def _versions() -> Iterator[Finding]:
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    yield Finding("napari-dycon", f"{__version__}, Python {platform.python_version()}, {system}")
    for name in ("torch", "monai", "lightning_fabric", "napari"):
        yield _version(name)


def _version(name: str) -> Finding:
    distribution = name.replace("_", "-")
    try:
        version = metadata.version(distribution)
    except metadata.PackageNotFoundError:
        remedy = 'Install everything again: pip install "napari-dycon[all]"'
        level: Level = "advice" if name == "napari" else "unusable"
        return Finding(distribution, "not installed", level, remedy)
    if name != "napari":
        try:
            importlib.import_module(name)
        except (ImportError, OSError) as error:
            remedy = f"Install it again: pip install --force-reinstall {distribution}"
            return Finding(distribution, f"{version}, cannot be loaded: {error}", "unusable", remedy)
    return Finding(distribution, version)


def _device() -> Iterator[Finding]:
    try:
        import torch
    except (ImportError, OSError):
        return
    cores = f"{psutil.cpu_count(logical=False) or 1} cores, {psutil.cpu_count() or 1} threads"
    yield Finding("processor", f"{platform.processor() or platform.machine()}, {cores}")
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(index)
            memory = f"{card.total_memory / GIB:.0f} GB"
            facts = (card.name, memory, f"CUDA {torch.version.cuda}", _driver())
            yield _card(", ".join(fact for fact in facts if fact))
    elif torch.backends.mps.is_available():
        yield Finding("graphics card", "Apple GPU (mps)")
    else:
        yield _no_card(torch.version.cuda)
    yield _together()


def _together() -> Finding:
    """What ``dycon train --devices`` would use."""
    from napari_dycon.engine.device import resolve_device
    from napari_dycon.engine.team import usable_devices

    names = usable_devices(resolve_device())
    text = ", ".join(names) if len(names) < MANY else f"{names[0]} to {names[-1]}"
    return Finding("devices", f"{text}; dycon train --devices {len(names)} would use all")


def _card(facts: str) -> Finding:
    from napari_dycon.engine.device import card_fault

    if not card_fault():
        return Finding("graphics card", facts)
    return Finding(
        "graphics card",
        f"{facts}, but this PyTorch cannot work with it ({card_fault()}); training runs on the processor",
        "advice",
        f"Install a PyTorch that was built for this card: pip install --force-reinstall torch --index-url "
        f"{CUDA_WHEELS}, or an older one for an old card.",
    )


def _driver() -> str | None:
    """The NVIDIA driver as ``nvidia-smi`` names it."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    query = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = answer.stdout.strip().splitlines()
    return f"driver {lines[0]}" if answer.returncode == 0 and lines else None


def _no_card(cuda: str | None) -> Finding:
    driver = _driver()
    if driver is None:
        return Finding(
            "graphics card",
            "none that PyTorch can use; training runs on the processor",
            "ok" if sys.platform == "darwin" else "advice",
            "Small scans train well without; for large ones use a computer with an NVIDIA card.",
        )
    if cuda is None:
        return Finding(
            "graphics card",
            f"an NVIDIA card ({driver}), but this PyTorch was built without CUDA",
            "advice",
            f"pip install --force-reinstall torch --index-url {CUDA_WHEELS}",
        )
    return Finding(
        "graphics card",
        f"an NVIDIA card ({driver}), but PyTorch for CUDA {cuda} cannot use it",
        "advice",
        "Update the NVIDIA driver and restart the computer.",
    )


def _memory() -> Finding:
    memory = psutil.virtual_memory()
    text = f"{memory.total / GIB:.0f} GB, {memory.available / GIB:.0f} GB free"
    if memory.available < LITTLE_MEMORY_GIB * GIB:
        return Finding("memory", text, "advice", "Close other programs before you train on large scans.")
    return Finding("memory", text)


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free / GIB
    text = f"{free:.0f} GB free in {folder}"
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        return Finding(
            "disk", f"{text}, not writable ({reason})", "advice", "Keep studies in another folder."
        )
    if free < LITTLE_DISK_GIB:
        return Finding("disk", text, "advice", "Make room: predictions of one study can take some GB.")
    return Finding("disk", text)


def _display() -> Finding:
    display = find_display()
    if display.usable and display.size is not None:
        width, height = display.size
        return Finding("display", f"{width} x {height}, {display.qt}, OpenGL {display.opengl}")
    remedy = (
        'napari cannot be shown, the commands work. For Qt: pip install "napari-dycon[all]"; for OpenGL: '
    )
    return Finding("display", str(display.problem), "advice", f"{remedy}update the graphics driver.")


def _plugin() -> Finding:
    entries = metadata.entry_points(group="napari.manifest")
    if any(entry.name == "napari-dycon" for entry in entries):
        return Finding("plugin", "registered with napari")
    return Finding(
        "plugin", "napari will not find it", "advice", 'Install it: pip install "napari-dycon[all]"'
    )
