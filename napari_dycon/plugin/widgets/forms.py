"""A form made by magicgui from the settings in a pydantic model: labels, units, limits, refusals, reset."""

from collections.abc import Mapping, Sequence
from typing import Any

from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox, LineEdit, SpinBox, create_widget
from magicgui.widgets.bases import ValueWidget
from qtpy.QtCore import QEvent, QObject, QSize, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QDoubleSpinBox,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_dycon.plugin.controllers.expert import TOGETHER, Refusal
from napari_dycon.plugin.controllers.setting import AUTOMATIC, Setting, spoken
from napari_dycon.plugin.widgets.icons import icon
from napari_dycon.plugin.widgets.parts import as_tooltip, plain_label, push_button, row, set_role
from napari_dycon.plugin.widgets.theme import Theme

LARGEST = 10**9
DECIMALS, STEPS = 3, 20
LABEL_WIDTH = 140
WIDGETS: dict[str, type[ValueWidget[Any]]] = {
    "switch": CheckBox,
    "choice": ComboBox,
    "whole": SpinBox,
    "number": FloatSpinBox,
    "text": LineEdit,
}
"""What magicgui makes of each kind of setting."""


class NoWheel(QObject):
    """Lets the wheel scroll the page over a field that is not being used, in place of changing it."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Leave the wheel to the page unless the field has the focus."""
        if event.type() == QEvent.Type.Wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return False


class SettingsForm(QWidget):
    """One line a setting; it only shows what holds, and tells what the person gives.

    Parameters
    ----------
    settings
        What can be set.
    planned
        What the plan decided for the newest run, by name; shown where it will decide again.
    command
        What stands before a name on the command line, for example ``--override augmentation.``; empty where a
        setting has another name there.
    """

    change_requested = Signal(str, object)
    reset_requested = Signal(str)

    def __init__(self, settings: Sequence[Setting], planned: Mapping[str, Any], command: str = "") -> None:
        super().__init__()
        self._no_wheel = NoWheel(self)
        self.together = _refusal_label()
        self.rows = {setting.name: SettingRow(self, setting, planned, command) for setting in settings}
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 6)
        column.setSpacing(4)
        for part in (self.together, *self.rows.values()):
            column.addWidget(part)

    def tame(self, field: QWidget) -> None:
        """Keep the wheel from changing a field that the page is scrolled past."""
        field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        field.installEventFilter(self._no_wheel)

    def show_values(self, values: Mapping[str, Any], refused: Mapping[str, Refusal]) -> None:
        """Show what was set by hand and what is refused; ``TOGETHER`` stands for several of them."""
        for name, line in self.rows.items():
            line.show_value(values, refused.get(name))
        _tell(self.together, refused[TOGETHER].sentence if TOGETHER in refused else "")

    def search(self, words: Sequence[str]) -> bool:
        """Show only the settings that hold every one of ``words``; return whether there are any."""
        found = [line.search(words) for line in self.rows.values()]
        return any(found)

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        for line in self.rows.values():
            line.reset_button.setIcon(icon("reset", theme.text))


class SettingRow(QWidget):
    """A label, the field that magicgui makes, a button that resets it, and below it why something is refused.

    Attributes
    ----------
    field
        The widget of magicgui.
    native
        The widget of Qt in it.
    """

    def __init__(
        self, form: SettingsForm, setting: Setting, planned: Mapping[str, Any], command: str
    ) -> None:
        super().__init__()
        self.setting, self._form = setting, form
        self._automatic = _automatic(setting, planned)
        self.label = plain_label(f"{setting.label} ({setting.unit})" if setting.unit else setting.label)
        self.field = self._make_field()
        self.native: QWidget = self.field.native
        back = f"{setting.label}: back to {self._automatic}"
        self.reset_button = push_button("", back, self._reset, "icon")
        self.reset_button.setAccessibleName(back)
        self.refusal = _refusal_label()
        self._lay_out()
        self._explain(command)
        self._listen()
        self.show_value({}, None)

    def _lay_out(self) -> None:
        self.label.setWordWrap(True)
        self.label.setFixedWidth(LABEL_WIDTH)
        self.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.reset_button.setIconSize(QSize(13, 13))
        policy = self.reset_button.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.reset_button.setSizePolicy(policy)
        line = row(self.label, self.native, self.reset_button)
        line.setStretch(1, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(line)
        column.addWidget(self.refusal)

    def _explain(self, command: str) -> None:
        """Say to the eyes, to the pointer and to a screen reader what the field is."""
        setting = self.setting
        decided, default = "The plan decides it unless you do.", f"By default {self._automatic}."
        outside = decided if setting.planned else default
        typed = f"\nOn the command line: {command}{setting.name}=…" if command else ""
        tip = as_tooltip("\n\n".join((setting.tip, outside + typed)))
        for part in (self.label, self.native):
            part.setToolTip(tip)
        self.label.setBuddy(self.native)
        self.native.setAccessibleName(self.label.text())
        self.native.setAccessibleDescription(setting.tip)

    def _listen(self) -> None:
        native = self.native
        if isinstance(native, QAbstractSpinBox | QComboBox):
            self._form.tame(native)
        if isinstance(native, QAbstractSpinBox):
            native.setKeyboardTracking(False)
        if isinstance(native, QDoubleSpinBox):
            native.setDecimals(DECIMALS)
        if isinstance(native, QLineEdit):
            native.setPlaceholderText(self._automatic)
            native.editingFinished.connect(self._tell_text)
        else:
            self.field.changed.connect(self._tell)

    def _make_field(self) -> ValueWidget[Any]:
        setting, options = self.setting, dict[str, Any]()
        low, high = setting.limits
        match setting.kind:
            case "choice":
                first = [(self._automatic, "")] if setting.planned else []
                options["choices"] = [*first, *((choice, choice) for choice in setting.choices)]
            case "whole":
                options |= {"min": -LARGEST if low is None else low, "max": LARGEST if high is None else high}
            case "number":
                options |= {"min": low, "max": high, "step": (high - low) / STEPS}  # type: ignore[operator]
        field = create_widget(name=setting.name, widget_type=WIDGETS[setting.kind], options=options)
        assert isinstance(field, ValueWidget)
        if isinstance(field, CheckBox):
            field.text = ""
        return field

    def _dress(self) -> None:
        """Say to eyes, pointer and screen reader what the field is, and listen to it."""
        native, setting = self.native, self.setting
        for part in (self.label, native):
            part.setToolTip(self._tip)
        self.label.setBuddy(native)
        native.setAccessibleName(" ".join(filter(None, (setting.label, setting.unit))))
        native.setAccessibleDescription(setting.tip)
        native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        if isinstance(native, QAbstractSpinBox | QComboBox):
            self._form.tame(native)
        if isinstance(native, QAbstractSpinBox):
            native.setKeyboardTracking(False)
        if setting.kind == "number":
            native.setDecimals(DECIMALS)
        if isinstance(native, QLineEdit):
            native.setPlaceholderText(self._automatic)
            native.editingFinished.connect(self._tell_text)
        else:
            self.field.changed.connect(self._tell)

    def show_value(self, values: Mapping[str, Any], refused: Refusal | None) -> None:
        """Show what was set by hand, or what is refused, as it was given, and why."""
        changed = self.setting.name in values
        with self.field.changed.blocked():
            if refused is not None:
                self.field.value = refused.given
            else:
                self.field.value = self._shown(values) if changed else self._value_before()
        set_role(self.label, "changed" if changed or refused else "")
        self.reset_button.setVisible(changed or refused is not None)
        _tell(self.refusal, refused.sentence if refused else "")

    def search(self, words: Sequence[str]) -> bool:
        """Show the row if it holds every one of ``words``; return whether it does."""
        text = f"{self.setting.label} {self.setting.name} {self.setting.tip}".casefold()
        found = all(word in text for word in words)
        self.setVisible(found)
        return found

    def _shown(self, values: Mapping[str, Any]) -> Any:
        value = values[self.setting.name]
        return spoken(value) if self.setting.kind in ("text", "choice") else value

    def _value_before(self) -> Any:
        if self.setting.planned:
            return ""
        return self._shown({self.setting.name: self.setting.default})

    def _reset(self) -> None:
        self._form.reset_requested.emit(self.setting.name)

    def _tell(self, given: Any) -> None:
        self._form.change_requested.emit(self.setting.name, given)

    def _tell_text(self) -> None:
        """Tell a text that is not the one that was shown."""
        assert isinstance(self.native, QLineEdit)
        if self.native.isModified():
            self.native.setModified(False)
            self._tell(self.native.text().strip())


def _automatic(setting: Setting, planned: Mapping[str, Any]) -> str:
    """Return in words what holds where nobody sets it."""
    if not setting.planned:
        return spoken(setting.default)
    last = planned.get(setting.name)
    return AUTOMATIC if last is None or last == [] else f"{AUTOMATIC} ({spoken(last)})"


def _refusal_label() -> QLabel:
    label = plain_label("", "bad")
    label.setWordWrap(True)
    label.hide()
    return label


def _tell(label: QLabel, sentence: str) -> None:
    label.setText(sentence)
    label.setVisible(bool(sentence))
