"""Set up everything on a fresh machine, then run the demo or the tests.

    python run.py demo [ARGUMENTS OF dycon demo]
    python run.py test [ARGUMENTS OF pytest]

Needs nothing but Python 3.11 or newer. Packages go into ``.venv`` beside this file; on Debian and Ubuntu, as
root, missing system libraries for Qt, OpenGL and a virtual screen are installed as well.
"""

from __future__ import annotations

import contextlib
import ctypes.util
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
TORCH = "torch==2.13.0"
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
CUDA_WHEELS = "https://download.pytorch.org/whl/cu130"
WINDOW_TESTS = ("tests/gui", "tests/plugin", "tests/faults")
SECOND_SCREEN = (*WINDOW_TESTS[1:], "tests/gui/test_rail.py", "tests/gui/test_regions.py")
"""Those of them that run in a process with a screen of its own; they take about as long as the others."""
QT_LIBRARIES = {
    "GL": "libgl1",
    "EGL": "libegl1",
    "glib-2.0": "libglib2.0-0",
    "dbus-1": "libdbus-1-3",
    "fontconfig": "libfontconfig1",
    "xkbcommon-x11": "libxkbcommon-x11-0",
    "xcb-cursor": "libxcb-cursor0",
    "xcb-icccm": "libxcb-icccm4",
    "xcb-image": "libxcb-image0",
    "xcb-keysyms": "libxcb-keysyms1",
    "xcb-randr": "libxcb-randr0",
    "xcb-render-util": "libxcb-render-util0",
    "xcb-shape": "libxcb-shape0",
    "xcb-xinerama": "libxcb-xinerama0",
    "xcb-xkb": "libxcb-xkb1",
}


def main(arguments: list[str]) -> int:
    """Set up, then run the demo or the tests; return the exit status."""
    if sys.version_info < (3, 11):  # noqa: UP036
        return stop(f"Python 3.11 or newer is needed; this is {platform.python_version()}.")
    if not arguments or arguments[0] not in ("demo", "test"):
        return stop(__doc__.strip())
    task, rest = arguments[0], arguments[1:]
    install_system_libraries(screen_needed=task == "test")
    install_packages(groups=("test", "docs") if task == "test" else ())
    return run_tests(rest) if task == "test" else run_demo(rest)


def stop(message: str) -> int:
    """Print why nothing was done."""
    print(message, file=sys.stderr)
    return 1


def has_display() -> bool:
    """Tell whether a window can be shown."""
    return platform.system() != "Linux" or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )


def install_system_libraries(screen_needed: bool) -> None:
    """Install what Qt needs where this is possible; elsewhere a missing library shows when napari starts."""
    apt = shutil.which("apt-get")
    if platform.system() != "Linux" or apt is None or os.geteuid() != 0:
        return
    missing = []
    if importlib.util.find_spec("ensurepip") is None:
        missing.append("python3-venv")
    if screen_needed or has_display():
        missing += [package for name, package in QT_LIBRARIES.items() if not ctypes.util.find_library(name)]
    if screen_needed and not shutil.which("Xvfb"):
        missing.append("xvfb")
    if missing:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = [apt, "install", "-y", "-qq", "--no-install-recommends", *missing]
        subprocess.run([apt, "update", "-qq"], check=True, env=environment)
        subprocess.run(install, check=True, env=environment)


def install_packages(groups: tuple[str, ...]) -> None:
    """Create the virtual environment and install this package into it, unless that was done before."""
    stamp = VENV / "napari-dycon.json"
    digest = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    wanted = {"pyproject": digest, "groups": list(groups)}
    if stamp.is_file():
        done = json.loads(stamp.read_text())
        if done["pyproject"] == wanted["pyproject"] and set(groups) <= set(done["groups"]):
            return
    if not PYTHON.is_file():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    pip("install", "--quiet", "--upgrade", "pip>=25.1")
    install = ["install", "--quiet", "--no-compile"]  # what is imported compiles then, the rest never
    pip(*install, TORCH, *torch_source())
    extra = [word for group in groups for word in ("--group", group)]
    pip(*install, "--editable", f"{ROOT}[all]", *extra)
    stamp.write_text(json.dumps(wanted))


def torch_source() -> list[str]:
    """Choose the PyTorch build: CUDA where there is an NVIDIA driver, otherwise the small CPU build."""
    nvidia = shutil.which("nvidia-smi") is not None
    if platform.system() == "Windows":
        return ["--index-url", CUDA_WHEELS] if nvidia else []
    if platform.system() == "Linux" and not nvidia and not offers_cpu_build():
        return ["--index-url", CPU_WHEELS]
    return []


def offers_cpu_build() -> bool:
    """Tell whether pip, as it is set up on this machine, already finds a CPU build of PyTorch."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        dry_run = ["--dry-run", "--ignore-installed", "--no-deps", "--report", str(report)]
        pip("install", "--quiet", *dry_run, TORCH)
        found = json.loads(report.read_text())["install"]
    return any("+cpu" in package["metadata"]["version"] for package in found)


def pip(*arguments: str) -> None:
    """Run pip in the virtual environment."""
    subprocess.run([str(PYTHON), "-m", "pip", *arguments], check=True, cwd=ROOT)


def run_demo(arguments: list[str]) -> int:
    """Open the demo study in napari, or run it headless where there is no display."""
    return subprocess.run([str(PYTHON), "-m", "napari_dycon.cli", "demo", *arguments], check=False).returncode


def run_tests(arguments: list[str]) -> int:
    """Run the style, type, documentation and behaviour checks; stop at the first that fails.

    Types and documentation are checked beside each other. Tests of the window run in two groups beside each
    other, those of a group one after the other, for they share a screen. The others run side by side, one
    process a core, those of a file together, and say how much of the package they have run.
    """
    python = [str(PYTHON), "-m"]
    types = [*python, "mypy"]
    docs = [*python, "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(VENV / "site")]
    if arguments:
        tests = [*python, "pytest", *arguments]
    else:
        side_by_side = ["--numprocesses=logical", "--maxprocesses=4", "--max-worker-restart=0"]
        # Files stay together in their order, or the longest one, of a few tests, comes last.
        side_by_side += ["--dist=loadfile", "--no-loadscope-reorder"]
        coverage = ["--cov", "--cov-report=", "--cov-fail-under=1"]  # any floor has the total printed
        elsewhere = [f"--ignore={folder}" for folder in WINDOW_TESTS]
        tests = [*python, "pytest", *side_by_side, *coverage, *elsewhere]
    steps: list[tuple[str, list[list[str]]]] = [
        ("ruff check", [[*python, "ruff", "check", "."]]),
        ("ruff format", [[*python, "ruff", "format", "--check", "."]]),
        ("mypy, mkdocs", [types, docs]),
        ("pytest", [tests]),
    ]
    if not arguments:
        steps.append(("pytest, the window", window_tests()))
    for name, commands in steps:
        print(f"== {name}", flush=True)
        status = run_beside(commands) if len(commands) > 1 else run(commands[0])
        if status:
            return status
    return 0


def run(command: list[str]) -> int:
    """Run a command in the repository; return its exit status."""
    return subprocess.run(command, check=False, cwd=ROOT).returncode


def window_tests() -> list[list[str]]:
    """Return what runs two halves of `WINDOW_TESTS`, which share nothing."""
    first = [*WINDOW_TESTS[:1], *(f"--ignore={place}" for place in SECOND_SCREEN)]
    command = [str(PYTHON), "-m", "pytest", "-p", "no:cacheprovider"]
    return [[*command, *first], [*command, *SECOND_SCREEN]]


def run_beside(commands: list[list[str]]) -> int:
    """Run commands beside each other, each printed as a whole when it has ended; return the first failure."""
    with contextlib.ExitStack() as stack:
        logs = [stack.enter_context(tempfile.TemporaryFile()) for _ in commands]
        groups = [
            subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
            for command, log in zip(commands, logs, strict=True)
        ]
        stack.callback(lambda: [group.kill() for group in groups if group.poll() is None])
        statuses = []
        for group, log in zip(groups, logs, strict=True):
            statuses.append(group.wait())
            log.seek(0)
            shutil.copyfileobj(log, sys.stdout.buffer)
            sys.stdout.flush()
    return next((status for status in statuses if status), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
