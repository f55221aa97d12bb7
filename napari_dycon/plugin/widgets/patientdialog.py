"""Asks whose scans some cases are: a patient that the study knows, a new pseudonym, or each its own."""

from collections import Counter
from collections.abc import Callable, Mapping

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QDialog, QVBoxLayout, QWidget

from napari_dycon.errors import StudyError
from napari_dycon.plugin.widgets.parts import answer_buttons, plain_label
from napari_dycon.study.store.schema import patient_name

WIDTH = 400
MEANING = (
    "Scans of one patient are held out of training together, and labels can be carried over from one to the "
    "other. Use a pseudonym, no name."
)


class PatientDialog(QDialog):
    """A field that offers the patients of the study; left empty, each case is a patient of its own.

    Parameters
    ----------
    parent
        The widget the question belongs to.
    cases
        Names of the cases, by id.
    patients
        Whose every case of the study is, by id.
    take
        Told the pseudonym.
    """

    def __init__(
        self,
        parent: QWidget,
        cases: Mapping[str, str],
        patients: Mapping[str, str],
        take: Callable[[str], None],
    ) -> None:
        super().__init__(parent)
        self._take = take
        self.setWindowTitle("Patient")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(WIDTH)
        what = next(iter(cases.values())) if len(cases) == 1 else f"These {len(cases)} cases"
        question = plain_label(f"{what} {'shows' if len(cases) == 1 else 'show'} the patient:")
        meaning = plain_label(MEANING, "muted")
        self.field = QComboBox()
        self.field.setEditable(True)
        self.field.addItems(_patients_to_choose(cases, patients))
        self.field.setCurrentText(_common(cases, patients))
        line = self.field.lineEdit()
        line.setPlaceholderText("its own" if len(cases) == 1 else "each its own")
        line.textChanged.connect(self._check)
        self.trouble = plain_label("", "bad")
        self.buttons, self._accept = answer_buttons(self, "Set", self._finish)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 14, 16, 14)
        layout.setSpacing(8)
        for label in (question, meaning, self.trouble):
            label.setWordWrap(True)
        for part in (question, self.field, self.trouble, meaning, self.buttons):
            layout.addWidget(part)
        self._check()
        line.selectAll()

    def _check(self, change: object = None) -> None:
        del change
        trouble = ""
        try:
            patient_name(self.field.currentText())
        except StudyError as error:
            trouble = str(error)
        self.trouble.setText(trouble)
        self.trouble.setVisible(bool(trouble))
        self._accept.setEnabled(not trouble)

    def _finish(self) -> None:
        patient = self.field.currentText().strip()
        self.accept()
        self._take(patient)


def _patients_to_choose(cases: Mapping[str, str], patients: Mapping[str, str]) -> list[str]:
    """Return the patients of the study, first those of several cases; none of these alone."""
    count = Counter(patients.values())
    own = {case for case in cases if patients.get(case) == case and count[case] == 1}
    return sorted({*count} - own, key=lambda patient: (count[patient] < 2, patient.casefold()))


def _common(cases: Mapping[str, str], patients: Mapping[str, str]) -> str:
    """Return whose all these cases are already; empty where that differs or each has its own."""
    whose = {patients.get(case, case) for case in cases}
    count = Counter(patients.values())
    return next((one for one in whose if len(whose) == 1 and (one not in cases or count[one] > 1)), "")
