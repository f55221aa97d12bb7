"""The top of the dock: which study is open, on what device, whether all is saved; and the empty state."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from qtpy.QtCore import Qt, Signal, SignalInstance
from qtpy.QtGui import QColor, QPainter, QPen
from qtpy.QtWidgets import QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_dycon.plugin.controllers.folder_choice import name_of
from napari_dycon.plugin.widgets.action_menu import ActionMenu
from napari_dycon.plugin.widgets.icons import icon
from napari_dycon.plugin.widgets.parts import (
    ElidedLabel,
    Painted,
    ProgressLine,
    allow,
    as_tooltip,
    flat_button,
    menu_button,
    plain_label,
    push_button,
    row,
    set_role,
)
from napari_dycon.plugin.widgets.theme import Theme

NAME_WIDTH = 240
"""Pixels that the name of a recent study may take."""
OF_READERS = ("call_reader", "invite_reader", "compare_readers", "readers_apart", "decide_readers")
DEVICES = {"cpu": "CPU", "cuda": "GPU", "mps": "Apple GPU", "auto": ""}


class HeaderPanel(QWidget):
    """Name, device and saved state of the study, and the three doors in and out of it."""

    export_requested = Signal()
    planes_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.name = ElidedLabel("study")
        self.read_only = plain_label("Read only", "chip-warn")
        self.read_only.setToolTip("Another session has this study open. You can look, but not change it.")
        self.read_only.hide()
        self.device = plain_label("", "chip")
        self.planes_button = flat_button(
            "Planes", "Axial, coronal, sagittal and 3D beside each other", self._ask_planes
        )
        self.planes_button.setCheckable(True)
        for chip in (self.read_only, self.device):
            chip.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.saved = ElidedLabel("muted")
        self.add_menu = ActionMenu(self, "add_scans", "add_folder", "add_labelled_folder", "", "find_scans")
        self.open_menu = ActionMenu(self, "choose_study", "open_demo", "", *OF_READERS)
        self.open_button = menu_button("Open", "Open or create a study", self.open_menu)
        self.add_button = menu_button("Add scans", "Add scans to this study", self.add_menu)
        self.export_button = push_button(
            "Export", "Write masks and a table of volumes to a folder", self.export_requested
        )
        self.export_menu = ActionMenu(self, "export_with", "report")
        self.export_more = menu_button("", "More to take with you", self.export_menu, "icon")
        self.export_more.setAccessibleName("More to take with you")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        title = row(self.name, self.read_only, self.device, self.planes_button)
        export = row(self.export_button, self.export_more, spacing=1)
        doors = row(self.saved, self.open_button, self.add_button, spacing=5)
        doors.addLayout(export)
        for line in (title, doors):
            line.setStretch(0, 1)
            layout.addLayout(line)

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self.export_more.setIcon(icon("more", theme.muted))

    def set_study(self, name: str, where: str, read_only: bool) -> None:
        """Show the study ``name`` kept in the folder ``where``."""
        self.name.show_text(name)
        self.name.setToolTip(as_tooltip(where))
        self.read_only.setVisible(read_only)

    def set_planes(self, shown: bool) -> None:
        """Show whether three planes are beside each other."""
        self.planes_button.setChecked(shown)

    def set_device(self, text: str) -> None:
        """Show the device that training uses; nothing while it is not known."""
        shown = DEVICES.get(text, text)
        self.device.setText(shown)
        self.device.setToolTip(as_tooltip(f"Training and prediction run on: {shown}"))
        self.device.setVisible(bool(shown))

    def set_saved(self, text: str, ok: bool) -> None:
        """Show whether the annotations are on disk; why not, the tooltip and a message say."""
        set_role(self.saved, "muted" if ok else "bad")
        self.saved.show_text(text if ok else "Not saved")
        self.saved.setToolTip(as_tooltip(text))

    def _ask_planes(self, checked: bool) -> None:
        self.planes_button.setChecked(not checked)
        self.planes_requested.emit()

    def set_blocked(self, adding: str, exporting: str) -> None:
        """Disable adding or exporting, each with the reason; an empty text enables it."""
        allow(self.add_button, adding)
        allow(self.export_button, exporting)


class EmptyPanel(QWidget):
    """What the dock shows while no study is open: two ways to begin, and the round in four words."""

    open_requested = Signal()
    demo_requested = Signal()
    recent_requested = Signal(str)
    forget_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        title = plain_label("Train a model on your own scans", "hero")
        lead = plain_label(
            "Label a few scans, or a few slices of them. The model learns from these and from all the "
            "scans you have not labelled.",
            "muted",
        )
        lead.setWordWrap(True)
        self.open_button = push_button(
            "Choose a folder…",
            "The folder of your scans, or of a study. A study is opened; for scans a new one is made.",
            self.open_requested,
            "hero-primary",
        )
        self.demo_button = push_button(
            "Try the demo study",
            "Twelve made-up patients, three of them labelled. Takes a few seconds.",
            self.demo_requested,
            "hero",
        )
        drop = plain_label("or drop scans or their folder here", "muted")
        drop.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.task = ElidedLabel("muted")
        self.task.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.progress = ProgressLine()
        self.progress.hide()
        self._steps = StepsPicture()
        self.recent = RecentStudies(self.recent_requested, self.forget_requested)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 0, 12, 0)
        layout.setSpacing(10)
        layout.addStretch(2)
        for item in (self._steps, title, lead):
            layout.addWidget(item)
        layout.addSpacing(10)
        for item in (self.open_button, self.demo_button, drop):
            layout.addWidget(item)
        layout.addSpacing(10)
        layout.addWidget(self.recent)
        layout.addWidget(self.task)
        layout.addWidget(self.progress)
        layout.addStretch(3)

    def set_task(self, text: str, fraction: float | None) -> None:
        """Show what is being prepared; an empty ``text`` means nothing is."""
        self.task.show_text(text)
        self.progress.setVisible(bool(text))
        self.progress.set_share(fraction)
        for button in (self.open_button, self.demo_button, self.recent):
            allow(button, "Please wait until this is done." if text else "")

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self.progress.set_theme(theme)
        self._steps.set_theme(theme)


class RecentStudies(QWidget):
    """The studies that were open lately, one a line.

    Parameters
    ----------
    chosen
        Emitted with the folder of a study.
    forget
        Emitted when the list shall be emptied.
    """

    def __init__(self, chosen: SignalInstance, forget: SignalInstance) -> None:
        super().__init__()
        self._chosen = chosen
        self.buttons: list[QPushButton] = []
        self.clear_button = flat_button("Clear", "Forget these studies; their folders stay", forget.emit)
        self._lines = QVBoxLayout()
        self._lines.setSpacing(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addLayout(row(plain_label("Recent studies", "title"), 1, self.clear_button))
        layout.addLayout(self._lines)
        self.hide()

    def set_studies(self, folders: Sequence[Path]) -> None:
        """List ``folders``, the latest first."""
        for button in self.buttons:
            self._lines.removeWidget(button)
            button.deleteLater()
        self.buttons = [self._button(folder) for folder in folders]
        for button in self.buttons:
            self._lines.addWidget(button)
        self.setVisible(bool(folders))

    def _button(self, folder: Path) -> QPushButton:
        button = push_button("", str(folder), partial(self._chosen.emit, str(folder)), "recent")
        elide = button.fontMetrics().elidedText
        name = elide(name_of(folder), Qt.TextElideMode.ElideMiddle, NAME_WIDTH)
        button.setText(name.replace("&", "&&"))
        return button


class StepsPicture(Painted):
    """The round of work as four dots on a line: label, train, look, correct."""

    WORDS = ("Label", "Train", "Look", "Correct")

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(52)

    def draw(self, painter: QPainter, theme: Theme) -> None:
        """Draw the line, the dots and their words."""
        step = self.width() / len(self.WORDS)
        centres = [step * (place + 0.5) for place in range(len(self.WORDS))]
        painter.setPen(QPen(QColor(theme.line), 2))
        painter.drawLine(round(centres[0]), 14, round(centres[-1]), 14)
        for place, centre in enumerate(centres):
            painter.setPen(QPen(QColor(theme.accent), 2))
            painter.setBrush(QColor(theme.accent if place == 0 else theme.background))
            painter.drawEllipse(round(centre) - 6, 8, 12, 12)
            painter.setPen(QColor(theme.muted))
            box = (round(centre - step / 2), 26, round(step), 20)
            painter.drawText(*box, Qt.AlignmentFlag.AlignCenter, self.WORDS[place])
