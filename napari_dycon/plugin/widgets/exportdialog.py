"""Asks how masks shall leave the study; who presses Export is asked for a folder and for nothing else."""

from collections.abc import Callable, Mapping
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QVBoxLayout, QWidget

from napari_dycon.plugin.controllers.setting import settings_of
from napari_dycon.plugin.widgets.forms import SettingsForm
from napari_dycon.plugin.widgets.parts import answer_buttons, plain_label
from napari_dycon.plugin.widgets.theme import Theme
from napari_dycon.study.exchange.exporting import ExportRequest


class ExportDialog(QDialog):
    """A form of the settings of an export.

    Parameters
    ----------
    parent
        The widget the question belongs to.
    theme
        Colours of the icons.
    go_on
        Told what was set, by name, when the person goes on to choose a folder.
    """

    def __init__(self, parent: QWidget, theme: Theme, go_on: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__(parent)
        self._go_on = go_on
        self._settings = {setting.name: setting for setting in settings_of(ExportRequest)}
        self._values: dict[str, Any] = {}
        self.setWindowTitle("Export masks")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(380)
        self.form = SettingsForm(tuple(self._settings.values()), {})
        self.form.set_theme(theme)
        self.form.change_requested.connect(self._change)
        self.form.reset_requested.connect(self._reset)
        self.buttons, _ = answer_buttons(self, "Choose a folder…", self._accept)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 14, 16, 14)
        layout.setSpacing(8)
        layout.addWidget(plain_label("How shall masks and volumes be written?"))
        layout.addWidget(self.form)
        layout.addWidget(self.buttons)

    def _change(self, name: str, given: Any) -> None:
        self._values[name] = self._settings[name].read(given)
        self._show()

    def _reset(self, name: str) -> None:
        self._values.pop(name, None)
        self._show()

    def _show(self) -> None:
        changed = {
            name: value for name, value in self._values.items() if value != self._settings[name].default
        }
        self._values = changed
        self.form.show_values(changed, {})

    def _accept(self) -> None:
        self.accept()
        self._go_on(self._values)
