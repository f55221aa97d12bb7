"""The range of intensities that is painted on."""

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget
from superqt import QLabeledDoubleRangeSlider

from napari_dycon.plugin.widgets.parts import plain_label
from napari_dycon.plugin.widgets.review import Switch
from napari_dycon.plugin.widgets.theme import Theme

WIDTH = 330
FINE = 20.0
"""Ranges below this show decimals."""
STEPS = 500
LABEL_SIDE = 20
"""Pixels beside the slider for the labels of its ends."""


class IntensityPanel(QWidget):
    """A switch and a slider with two ends; moving the slider turns the switch on."""

    limited = Signal(bool)
    range_chosen = Signal(float, float)

    def __init__(self) -> None:
        super().__init__()
        self.switch = Switch("Paint only within these intensities", "The eraser works everywhere (I)")
        self.slider = QLabeledDoubleRangeSlider(Qt.Orientation.Horizontal)
        self.slider.setEdgeLabelMode(QLabeledDoubleRangeSlider.EdgeLabelMode.NoLabel)
        self.slider.setHandleLabelPosition(QLabeledDoubleRangeSlider.LabelPosition.LabelsBelow)
        below = self.slider.layout().contentsMargins().bottom()
        self.slider.layout().setContentsMargins(LABEL_SIDE, 0, LABEL_SIDE, below)
        self.slider.setToolTip("In units of the scan; drag the bar to move both ends")
        self.note = plain_label("Brush, fill and polygon keep to it.", "muted")
        self.switch.toggled.connect(self.limited)
        self.slider.valueChanged.connect(self._on_range)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 10, 12, 8)
        layout.setSpacing(8)
        layout.addWidget(self.switch)
        layout.addWidget(self.slider)
        layout.addWidget(self.note)
        self.setFixedWidth(WIDTH)

    def set_range(self, on: bool, chosen: tuple[float, float], bounds: tuple[float, float]) -> None:
        """Show the range; emits nothing."""
        for part in (self.switch, self.slider):
            part.blockSignals(True)
        self.switch.setChecked(on)
        low, high = min(bounds[0], chosen[0]), max(bounds[1], chosen[1])
        self.slider.setDecimals(2 if high - low < FINE else 0)
        self.slider.setRange(low, high)
        self.slider.setSingleStep((high - low) / STEPS)
        self.slider.setValue(chosen)
        for part in (self.switch, self.slider):
            part.blockSignals(False)
        self.switch.update()

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self.switch.set_theme(theme)
        self.slider.setStyleSheet(
            f"QRangeSlider {{ qproperty-barColor: {theme.accent}; }} "
            f"QDoubleSpinBox {{ color: {theme.text}; background: transparent; border: 0px; }}"
        )

    def _on_range(self, value: tuple[float, float]) -> None:
        self.range_chosen.emit(*value)
        if not self.switch.isChecked():
            self.limited.emit(True)
