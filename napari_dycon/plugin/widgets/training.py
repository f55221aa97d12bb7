"""Train, pause, stop; how far it is, and how well it goes."""

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QPaintEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QSizePolicy,
    QStackedWidget,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QVBoxLayout,
    QWidget,
)

from napari_dycon.plugin.widgets.curves import CurvesView
from napari_dycon.plugin.widgets.icons import icon
from napari_dycon.plugin.widgets.lengths import LengthBox
from napari_dycon.plugin.widgets.modelbutton import ModelButton
from napari_dycon.plugin.widgets.parts import (
    ElidedLabel,
    ProgressLine,
    allow,
    as_tooltip,
    flat_button,
    plain_label,
    push_button,
    row,
    set_role,
    set_tip,
)
from napari_dycon.plugin.widgets.theme import Theme

LEAST_OFFER = 80
"""Pixels to which the offer gives way in a narrow dock."""
FIELD_MARGIN = 2
"""Pixels that Qt keeps free around the text of a closed box."""
OFFER = "Train in a process of its own"
OFFER_TIP = (
    "Whatever happens to a training then, running out of memory for example, this window goes on. "
    "From now on, until Preferences > Plugins > DyCON says otherwise."
)
CONTROL_TIP = (
    "Train a supervised twin afterwards, as long: it tells what the unlabelled scans bring here. Takes twice "
    "the time; both begin anew, and the better one is used."
)
LENGTH_TIP = (
    "How long to train: so many minutes, or until you stop it. Then what you complete and correct meanwhile "
    "joins in within seconds. You can pause or stop at any moment; nothing is lost."
)
WITHOUT_END = "A control trains as long as the run before it, so it needs one that has an end."
SETTINGS_TIP = "Settings of Train, for experts: plan and method by hand"
PLACE_TIP = "Where to train: this computer, or another machine"
LONGEST_NAME = 12
TITLES = {
    "idle": "Train",
    "training": "Training",
    "predicting": "Predicting",
    "importing": "Adding scans",
    "exporting": "Exporting",
    "reporting": "Writing the methods sheet",
    "carrying": "Carrying labels over",
    "restructuring": "Changing labels",
    "adopting": "Taking a model over",
}
WAITING = {"pausing": "Pausing after this step…", "stopping": "Stopping after this step…", "paused": "Paused"}


def duration(seconds: float) -> str:
    """Return a time as ``3:12`` or ``1:03:12``."""
    whole = max(0, round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


class MethodBox(QComboBox):
    """Lists whole titles; the closed box shows only what stands before the colon."""

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the box with the short title."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        field = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, self
        )
        title = (self.currentText() or self.placeholderText()).split(":")[0]
        right = Qt.TextElideMode.ElideRight
        option.currentText = self.fontMetrics().elidedText(title, right, field.width() - FIELD_MARGIN)
        painter = QStylePainter(self)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def showPopup(self) -> None:
        """Open the list wide enough for the longest title."""
        width = max(self.fontMetrics().horizontalAdvance(self.itemText(i)) for i in range(self.count()))
        self.view().setMinimumWidth(width + 24)
        super().showPopup()


def time_in_words(phase: str, seconds_left: float | None, done: str) -> str:
    """Say how long a task takes yet, or what it waits for."""
    if phase in WAITING:
        return f"{WAITING[phase]} · {done}" if phase == "paused" and done else WAITING[phase]
    if seconds_left is None:
        return done or "Preparing…"
    return f"{duration(seconds_left)} left"


class TrainingPanel(QWidget):
    """One row to start or to steer, a thin line of progress, the curves."""

    train_requested = Signal(str, object, bool)
    focus_lost = Signal()
    pause_requested = Signal()
    resume_requested = Signal()
    stop_requested = Signal()
    own_process_requested = Signal()
    settings_requested = Signal()
    places_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.title = plain_label("Train", "title")
        self.status = ElidedLabel("muted")
        self.method = MethodBox()
        self.method.setPlaceholderText("Loading…")
        self.method.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.minutes = LengthBox(5.0)
        self.minutes.setFixedWidth(116)
        self.minutes.setToolTip(as_tooltip(LENGTH_TIP))
        self.minutes.setAccessibleName("How long to train")
        self.minutes.currentTextChanged.connect(self._show_control)
        self.control = QCheckBox("Control")
        set_tip(self.control, CONTROL_TIP)
        self.train_button = push_button(
            "Train", "Train on what is labelled so far, in the background", self.train, "primary"
        )
        self.train_button.setFixedWidth(64)
        self.own_process = flat_button(OFFER, OFFER_TIP, self.own_process_requested.emit)
        self.own_process.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.own_process.setMinimumWidth(LEAST_OFFER)
        self.own_process.hide()
        self.models = ModelButton()
        self.settings_button = flat_button("", SETTINGS_TIP, self.settings_requested.emit)
        self.settings_button.setAccessibleName("Settings of Train")
        self.place_button = flat_button("", PLACE_TIP, self.places_requested.emit)
        self.place_button.setAccessibleName("Where to train")
        self.time_left = ElidedLabel()
        self.pause_button = push_button("Pause", "Pause after this step", self._pause_or_resume)
        self.stop_button = push_button("Stop", "Stop and keep what was learned so far", self.stop_requested)
        self.pause_button.setFixedWidth(92)
        self.stop_button.setFixedWidth(76)
        self.progress = ProgressLine()
        self.curves = CurvesView()
        self._shown = ("", "")
        self._theme: Theme | None = None
        self._lay_out()

    def _lay_out(self) -> None:
        self._pages = QStackedWidget()
        for layout in (
            row(self.method, self.minutes, spacing=4),
            row(self.time_left, self.pause_button, self.stop_button),
        ):
            page = QWidget()
            layout.setStretch(0, 1)
            page.setLayout(layout)
            self._pages.addWidget(page)
        self._pages.setFixedHeight(26)
        title = row(self.title, self.status, self.own_process, self.control, self.models, self.place_button)
        title.addWidget(self.settings_button)
        title.setStretch(1, 1)
        controls = row(self._pages, self.train_button, spacing=4)
        controls.setStretch(0, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addLayout(title)
        layout.addLayout(controls)
        layout.addWidget(self.progress)
        layout.addWidget(self.curves)

    def set_methods(self, methods: Sequence[tuple[str, str]], chosen: str = "") -> None:
        """Offer the methods as (name, title); keeps the choice, else takes ``chosen``, else the first."""
        keep = self.method.currentData() or chosen
        self.method.clear()
        for name, title in methods:
            self.method.addItem(title, name)
        if methods:
            self.method.setCurrentIndex(max(0, self.method.findData(keep)))
        self.method.setToolTip(as_tooltip("How to learn.\n" + "\n".join(title for _, title in methods)))

    def set_task(
        self,
        kind: str,
        phase: str,
        fraction: float | None,
        seconds_left: float | None,
        text: str,
        seconds_run: float | None = None,
        dice: float | None = None,
    ) -> None:
        """Show the task under way; all are those of ``TaskState``."""
        running = kind != "idle"
        self.title.setText(TITLES[kind])
        self.progress.set_share((fraction or 0.0) if running else None)
        self.status.show_text(text.removeprefix(TITLES[kind]).strip())
        done = "" if fraction is None else f"{100 * fraction:.0f} % done"
        if seconds_run is not None:
            done = duration(seconds_run) + ("" if dice is None else f" · Dice {dice:.2f}")
        self.time_left.show_text(time_in_words(phase, seconds_left, done))
        if (kind, phase) != self._shown:
            self._shown = kind, phase
            self._show_controls(kind, phase)

    def _show_controls(self, kind: str, phase: str) -> None:
        buttons = (self.train_button, self.pause_button, self.stop_button)
        had_focus = any(button.hasFocus() for button in buttons)
        self._pages.setCurrentIndex(int(kind != "idle"))
        self.control.setVisible(kind == "idle")
        self.pause_button.setVisible(kind == "training")
        self.train_button.setVisible(kind in ("idle", "predicting"))
        self.pause_button.setText("Resume" if phase in ("paused", "pausing") else "Pause")
        waiting = "Please wait until it has stopped." if phase == "stopping" else ""
        allow(self.stop_button, waiting)
        allow(self.pause_button, waiting)
        self._draw_icons()
        if had_focus and not any(button.hasFocus() for button in buttons):
            self.focus_lost.emit()

    def set_blocked(self, reason: str) -> None:
        """Disable training with the reason; an empty text enables it."""
        allow(self.train_button, reason)

    def set_offer(self, offered: bool) -> None:
        """Offer a process of its own for the training, or no longer."""
        self.own_process.setVisible(offered)

    def set_changes(self, changes: Sequence[str]) -> None:
        """Show how many settings were set by hand for the method in sight, and which."""
        set_role(self.settings_button, "flat-on" if changes else "flat")
        self.settings_button.setText(f" {len(changes)} set" if changes else "")
        set_tip(self.settings_button, "\n".join([SETTINGS_TIP, *changes]))
        self._draw_icons()

    def set_place(self, name: str) -> None:
        """Show on which machine it is trained; empty for this computer."""
        set_role(self.place_button, "flat-on" if name else "flat")
        short = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
        self.place_button.setText(f" {short}" if name else "")
        set_tip(self.place_button, f"{PLACE_TIP}\nNow: {name or 'this computer'}.")
        self._draw_icons()

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self._theme = theme
        self.progress.set_theme(theme)
        self.curves.set_theme(theme)
        self.models.set_theme(theme)
        self._draw_icons()

    def _draw_icons(self) -> None:
        if self._theme is not None:
            paused = self._shown[1] in ("paused", "pausing")
            self.pause_button.setIcon(icon("play" if paused else "pause", self._theme.text))
            self.stop_button.setIcon(icon("stop", self._theme.text))
            plain = not self.settings_button.text()
            here = not self.place_button.text()
            self.place_button.setIcon(icon("machine", self._theme.muted if here else self._theme.text))
            self.settings_button.setIcon(icon("settings", self._theme.muted if plain else self._theme.text))

    def train(self) -> None:
        """Ask for a training of the method and the length in sight, with a control if that is ticked."""
        minutes = self.minutes.value()
        twin = self.control.isChecked() and minutes is not None
        self.train_requested.emit(self.method.currentData(), minutes, twin)

    def _show_control(self) -> None:
        """Let a control be asked for where the training has an end."""
        allow(self.control, "" if self.minutes.value() is not None else WITHOUT_END)

    def _pause_or_resume(self) -> None:
        (self.resume_requested if self._shown[1] in ("paused", "pausing") else self.pause_requested).emit()
