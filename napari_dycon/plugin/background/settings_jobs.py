"""What there is to set for a training; read in the background, since it loads PyTorch."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from napari_dycon.engine.control import Control
from napari_dycon.plugin.background.worker import EventSource
from napari_dycon.study.study import Study


@dataclass(frozen=True, slots=True)
class SettingsFound:
    """What a training with a method can be told.

    Attributes
    ----------
    method
        Name of the method.
    plan, of_method
        The models of the plan and of the settings of the method.
    run
        Name of the newest run; empty without one.
    planned, overrides
        The plan of that run as JSON, and what of it was set by hand.
    """

    method: str
    plan: type[BaseModel]
    of_method: type[BaseModel]
    run: str
    planned: dict[str, Any]
    overrides: dict[str, Any]


def find_settings(study: Study, method: str) -> EventSource[SettingsFound]:
    """Tell what a training with ``method`` can be told, and what the newest run was told."""

    def source(control: Control) -> Iterator[SettingsFound]:
        del control
        from napari_dycon.engine.plan import Plan
        from napari_dycon.learning.methods.base import get_method

        run = next(iter(study.runs()[-1:]), "")
        folder = study.run_dir(run) if run else study.path
        overrides = _read(folder / "config.json").get("overrides") or {}
        planned = _read(folder / "plan.json")
        yield SettingsFound(method, Plan, get_method(method).Settings, run, planned, overrides)

    return source


def _read(path: Path) -> dict[str, Any]:
    """Return what a JSON file holds; nothing where there is none that can be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
