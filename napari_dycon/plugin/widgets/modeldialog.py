"""Asks which model a study shall start from, and which of its structures is which of the study's."""

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDialog,
    QFrame,
    QGridLayout,
    QHeaderView,
    QScrollArea,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_dycon.engine.models.library import Kept
from napari_dycon.engine.models.matching import Matching
from napari_dycon.plugin.background.library_jobs import Candidate
from napari_dycon.plugin.widgets.dialogs import ask_folder, confirm
from napari_dycon.plugin.widgets.parts import (
    answer_buttons,
    as_tooltip,
    flat_button,
    plain_label,
    push_button,
    row,
    set_role,
)

SIZE = 640, 560
HEADINGS = ("Kept on this computer", "Structures", "Dice", "Since", "From")
WIDTHS = {0: 150, 2: 56, 3: 86, 4: 140}
STRUCTURES = 1
ROW = 24
NONE_KEPT = (
    "No model is kept on this computer yet. “Keep this model…” in the menu beside Train of another study "
    "puts one here."
)
ELSEWHERE = "Folder of a study, of one of its runs (runs/003-dycon), or of an exported model"
CHOOSE = "Choose a model above, or the folder of one."
READING = "Reading the model…"
BEHIND, NEW = "left behind", "a new structure here"
ADD_ALL = "Each structure that would be left behind becomes a new one of this study"
SAY_ONE = "No structure here is called like one of the model: say of at least one what it is."


class ModelDialog(QDialog):
    """The models that are kept, a way to any other one, and what the chosen one would be to the study.

    Parameters
    ----------
    parent
        The widget the question belongs to.
    """

    consider_requested = Signal(str)
    take_requested = Signal(object, object)
    forget_requested = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._kept: tuple[Kept, ...] = ()
        self._matching: Matching | None = None
        self._remarks: tuple[str, ...] = ()
        self.choices: dict[str, QComboBox] = {}
        self.setWindowTitle("Start from another model")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(*SIZE)
        self.table = QTableWidget(0, len(HEADINGS))
        self._prepare_table()
        self.hint = plain_label(NONE_KEPT, "muted")
        self.hint.setWordWrap(True)
        self.elsewhere = push_button("A study or an exported model…", ELSEWHERE, self._choose_folder)
        self.forget = flat_button("Remove…", "Keep the selected model no longer", self._ask_forget)
        self.name, self.facts = plain_label("", "title"), plain_label(CHOOSE, "muted")
        self.facts.setWordWrap(True)
        self.sentences = plain_label("")
        self.sentences.setWordWrap(True)
        self.lines = QScrollArea()
        self.lines.setWidgetResizable(True)
        self.lines.setFrameShape(QFrame.Shape.NoFrame)
        self.buttons, self._accept = answer_buttons(self, "Start from it", self._finish)
        self._lay_out()
        self._show_matching(None)

    def _prepare_table(self) -> None:
        table = self.table
        table.setHorizontalHeaderLabels(HEADINGS)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(ROW)
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for column, width in WIDTHS.items():
            header.resizeSection(column, width)
        header.setSectionResizeMode(STRUCTURES, QHeaderView.ResizeMode.Stretch)
        table.itemSelectionChanged.connect(self._ask_kept)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 14, 16, 14)
        layout.setSpacing(8)
        layout.addWidget(plain_label("Which model shall this study start from?"))
        layout.addWidget(self.table, 1)
        layout.addWidget(self.hint)
        layout.addLayout(row(self.elsewhere, 1, self.forget))
        layout.addSpacing(4)
        layout.addWidget(self.name)
        layout.addWidget(self.facts)
        layout.addWidget(self.lines, 2)
        layout.addWidget(self.sentences)
        layout.addStretch(1)
        layout.addWidget(self.buttons)

    @property
    def told(self) -> dict[str, str]:
        """What each structure of the model is here; empty where it is left behind, or is a new one."""
        chosen = {name: choice.currentData() for name, choice in self.choices.items()}
        return {name: to or "" for name, to in chosen.items() if to is not None}

    @property
    def added(self) -> tuple[str, ...]:
        """Structures of the model that come into the study."""
        return tuple(name for name, choice in self.choices.items() if choice.currentData() is None)

    def show_kept(self, kept: Sequence[Kept]) -> None:
        """List the models that are kept."""
        if self._kept == tuple(kept) and self.table.rowCount():
            return
        self._kept = tuple(kept)
        self.table.blockSignals(True)
        self.table.clearSelection()
        self.table.setRowCount(len(kept))
        for line, one in enumerate(kept):
            texts = (one.name, ", ".join(one.structures), one.quality, one.day, one.source)
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setToolTip(as_tooltip(text))
                self.table.setItem(line, column, item)
        self.table.blockSignals(False)
        for part in (self.table, self.forget):
            part.setVisible(bool(kept))
        self.hint.setVisible(not kept)
        self.forget.setEnabled(False)

    def show_candidate(self, candidate: Candidate | None, sought: str) -> None:
        """Show what the chosen model would be to the study, or why it cannot be used."""
        if candidate is None:
            self.name.setText("")
            self.facts.setText(READING if sought else CHOOSE)
            set_role(self.facts, "muted")
            self._show_matching(None)
            return
        self._remarks = candidate.remarks
        self.name.setText(candidate.name)
        self.facts.setText(candidate.trouble or candidate.facts)
        set_role(self.facts, "bad" if candidate.trouble else "muted")
        self._show_matching(candidate.matching)

    def _show_matching(self, matching: Matching | None) -> None:
        self._matching, self.choices = matching, {}
        grid_of = QWidget()
        grid = QGridLayout(grid_of)
        grid.setContentsMargins(0, 0, 6, 0)
        grid.setColumnStretch(1, 1)
        if matching is not None:
            grid.addWidget(plain_label("In the model", "muted"), 0, 0)
            self.add_all = flat_button("Add all that are new", ADD_ALL, self._add_all)
            grid.addLayout(row(plain_label("In this study", "muted"), 1, self.add_all), 0, 1)
            for line, name in enumerate(matching.theirs, 1):
                self.choices[name] = self._choice(name, matching)
                grid.addWidget(plain_label(name), line, 0)
                grid.addWidget(self.choices[name], line, 1)
            self.add_all.setVisible(sum(choice.findText(NEW) >= 0 for choice in self.choices.values()) > 1)
        grid.setRowStretch(grid.rowCount(), 1)
        self.lines.setWidget(grid_of)
        self.lines.setMaximumHeight(grid_of.sizeHint().height())
        self.lines.setVisible(matching is not None)
        self.name.setVisible(bool(self.name.text()))
        self._tell()

    def _choice(self, name: str, matching: Matching) -> QComboBox:
        choice = QComboBox()
        choice.setAccessibleName(f"{name} in this study")
        for own in matching.ours:
            choice.addItem(own, own)
        if name.casefold() not in {own.casefold() for own in matching.ours}:
            choice.addItem(NEW, None)
        choice.addItem(BEHIND, "")
        own = matching.pairs.get(name, "")
        wanted = choice.findText(own or (BEHIND if matching.ours else NEW))
        choice.setCurrentIndex(wanted)
        choice.currentIndexChanged.connect(lambda _: self._take_from_others(name))
        return choice

    def _add_all(self) -> None:
        """Let everything into the study that would be left behind, and that it has no structure for."""
        for choice in self.choices.values():
            if choice.currentData() == "" and choice.findText(NEW) >= 0:
                choice.setCurrentIndex(choice.findText(NEW))

    def _take_from_others(self, name: str) -> None:
        """Take a structure of the study away from every other one: it is one of the model alone."""
        own = self.choices[name].currentData()
        for other, choice in self.choices.items():
            if own and other != name and choice.currentData() == own:
                choice.setCurrentIndex(choice.findText(BEHIND))
        self._tell()

    def _tell(self) -> None:
        """Say what comes of the choices."""
        if self._matching is None:
            self.sentences.setText("")
            self._allow("Choose a model first.")
            return
        matching = Matching.by_name(self._matching.theirs, self._matching.ours, self.told, self.added)
        sentences = matching.sentences() if matching.known else (SAY_ONE,)
        self.sentences.setText("\n".join((*sentences, *self._remarks)))
        self._allow("" if matching.known else SAY_ONE)

    def _allow(self, reason: str) -> None:
        self._accept.setEnabled(not reason)
        self._accept.setToolTip(reason)

    def _chosen(self) -> Kept | None:
        lines = {item.row() for item in self.table.selectedItems()}
        return self._kept[lines.pop()] if lines else None

    def _ask_kept(self) -> None:
        chosen = self._chosen()
        self.forget.setEnabled(chosen is not None)
        if chosen is not None:
            self.consider_requested.emit(str(chosen.path))

    def _choose_folder(self) -> None:
        folder = ask_folder(self, ELSEWHERE)
        if folder is not None:
            self.table.clearSelection()
            self.consider_requested.emit(str(folder))

    def _ask_forget(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            confirm(
                self,
                "Remove a model",
                f"Remove {chosen.name} from this computer?",
                "Studies that have started from it are not touched.",
                lambda: self.forget_requested.emit(chosen.name),
            )

    def _finish(self) -> None:
        told, added = self.told, self.added
        self.accept()
        self.take_requested.emit(told, added)
