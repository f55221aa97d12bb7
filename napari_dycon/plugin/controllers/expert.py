"""What an expert sets by hand for the trainings of a study; nothing, unless she asks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from psygnal import Signal
from pydantic import BaseModel

from napari_dycon.errors import StudyError
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.background.settings_jobs import SettingsFound, find_settings
from napari_dycon.plugin.controllers.current_study import CurrentStudy
from napari_dycon.plugin.controllers.setting import (
    Setting,
    parts_of,
    settings_of,
    spoken,
    why_not_together,
)

PLAN, METHOD = "", "method_settings"
TITLES = {PLAN: "Training and prediction", "network": "Network", "intensity": "Intensities"}
TOGETHER = ""
"""Stands for the name of a setting where several do not go together."""


class Refusal(NamedTuple):
    """What was given for a setting and cannot be, and why in a sentence."""

    given: Any
    sentence: str


@dataclass(frozen=True)
class Section:
    """Settings under one heading.

    Attributes
    ----------
    key
        The field of the plan that they are in; empty for those of the plan itself.
    title
        The heading.
    model
        What they are in.
    settings
        Those that a person may set.
    planned
        What they were in the newest run, by name.
    """

    key: str
    title: str
    model: type[BaseModel]
    settings: tuple[Setting, ...]
    planned: Mapping[str, Any]


class Expert:
    """The settings of trainings, and what of them was set by hand.

    Signals: ``found`` tells that it is known what there is to set, ``changed`` that something was set or
    refused.

    Parameters
    ----------
    current
        Holds the study.
    chores
        Reads in the background what there is to set.

    Attributes
    ----------
    method
        The method whose settings are among the sections.
    sections
        What there is to set; empty until it is known.
    last_run
        The newest run; empty without one.
    """

    found = Signal()
    changed = Signal()

    def __init__(self, current: CurrentStudy, chores: JobQueue) -> None:
        self._current, self._chores = current, chores
        self.method = ""
        self.sections: tuple[Section, ...] = ()
        self.last_run = ""
        self._last: Mapping[str, Any] = {}
        self._values: dict[tuple[str, str], dict[str, Any]] = {}
        self._refused: dict[tuple[str, str], dict[str, Refusal]] = {}

    def look(self, method: str) -> None:
        """Read what a training with ``method`` can be told; ``found`` follows."""
        study = self._current.study
        if study is not None and method:
            self._chores.put("settings", find_settings(study, method), self._on_found)

    def close(self) -> None:
        """Forget what was set: it is of the study that is closed."""
        self.sections, self.last_run, self._last = (), "", {}
        self._values.clear()
        self._refused.clear()
        self.changed.emit()

    def values(self, key: str, method: str = "") -> Mapping[str, Any]:
        """Return what was set by hand in a section, by name."""
        return self._values.get(self._place(key, method), {})

    def refusals(self, key: str) -> Mapping[str, Refusal]:
        """Return what was given in a section and is not taken, by name."""
        return self._refused.get(self._place(key), {})

    def changes(self, method: str) -> list[str]:
        """Return what was set by hand for a training with ``method``, each in words."""
        return [
            f"{name if key in (PLAN, METHOD) else f'{key}.{name}'} = {spoken(value)}"
            for (key, of), values in self._values.items()
            for name, value in values.items()
            if of in ("", method)
        ]

    @property
    def can_repeat(self) -> bool:
        """Whether anything was set by hand for the newest run."""
        return bool(self._last)

    def change(self, key: str, name: str, given: Any) -> None:
        """Set a setting to what a person gave; an empty text leaves it to the plan, or to its default."""
        setting = next(one for one in self._section(key).settings if one.name == name)
        values, refused = self._at(key)
        refused.pop(name, None)
        try:
            value = None if given == "" else setting.read(given)
        except ValueError as error:
            refused[name] = Refusal(given, str(error))
        else:
            values.pop(name, None)
            if given != "" and (setting.planned or value != setting.default):
                values[name] = value
        self._check(key)
        self.changed.emit()

    def reset(self, key: str, name: str) -> None:
        """Leave a setting to the plan, or as it is by default."""
        for entries in self._at(key):
            entries.pop(name, None)
        self._check(key)
        self.changed.emit()

    def reset_all(self) -> None:
        """Leave everything to the plan, or as it is by default."""
        self._values.clear()
        self._refused.clear()
        self.changed.emit()

    def repeat_last(self) -> None:
        """Set what was set for the newest run, and nothing else."""
        self._values.clear()
        self._refused.clear()
        for section in self.sections:
            given = self._last if section.key == PLAN else self._last.get(section.key) or {}
            for setting in section.settings:
                if setting.name in given:
                    self._at(section.key)[0][setting.name] = setting.read(given[setting.name])
        self.changed.emit()

    def overrides(self, method: str) -> dict[str, Any]:
        """Return what is set for a training with ``method``, as fields of the plan.

        Raises
        ------
        StudyError
            Where something that was given cannot be.
        """
        for (_, of), refused in self._refused.items():
            if of in ("", method) and refused:
                first = next(iter(refused.values())).sentence
                raise StudyError(f"{first} Change it in the settings of Train, or reset it.")
        wishes: dict[str, Any] = {}
        for (key, of), values in self._values.items():
            if of in ("", method) and values:
                wishes.update(values if key == PLAN else {key: dict(values)})
        return wishes

    def _place(self, key: str, method: str = "") -> tuple[str, str]:
        return key, (method or self.method) if key == METHOD else ""

    def _at(self, key: str) -> tuple[dict[str, Any], dict[str, Refusal]]:
        place = self._place(key)
        return self._values.setdefault(place, {}), self._refused.setdefault(place, {})

    def _section(self, key: str) -> Section:
        return next(section for section in self.sections if section.key == key)

    def _check(self, key: str) -> None:
        """Say where the values of a section, each of which is taken, do not go together."""
        values, refused = self._at(key)
        refused.pop(TOGETHER, None)
        sentence = why_not_together(self._section(key).model, values)
        if sentence:
            refused[TOGETHER] = Refusal(None, sentence)

    def _on_found(self, event: SettingsFound) -> None:
        self.method, self.last_run, self._last = event.method, event.run, event.overrides
        models = {METHOD: event.of_method, PLAN: event.plan, **parts_of(event.plan)}
        self.sections = tuple(
            Section(
                key,
                TITLES.get(key, key.capitalize()) if key != METHOD else "Method",
                model,
                settings_of(model),
                event.planned if key == PLAN else event.planned.get(key) or {},
            )
            for key, model in models.items()
        )
        self.found.emit()
