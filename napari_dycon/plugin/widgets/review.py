"""Looking at predictions: overlays with their legend, accepting and rejecting."""

from collections.abc import Sequence

from qtpy.QtCore import QRectF, Qt, Signal
from qtpy.QtGui import QColor, QLinearGradient, QPainter
from qtpy.QtWidgets import QSlider, QStyleOption, QVBoxLayout, QWidget
from superqt import QToggleSwitch

from napari_dycon.plugin.widgets.action_menu import ActionMenu, Choice, ChoiceMenu
from napari_dycon.plugin.widgets.decisions import ACCEPT, REJECT, SplitButton
from napari_dycon.plugin.widgets.icons import icon
from napari_dycon.plugin.widgets.parts import (
    ElidedLabel,
    Painted,
    allow,
    as_tooltip,
    menu_button,
    plain_label,
    row,
)
from napari_dycon.plugin.widgets.theme import Theme


class EntropyLegend(Painted):
    """A bar from sure to unsure in the colour of the uncertainty layer."""

    def __init__(self) -> None:
        super().__init__()
        self._colour = QColor("#29d4ed")
        self.setFixedHeight(16)
        self.setMinimumWidth(150)
        self.setToolTip(
            "Predictive entropy: clear where the model is sure, full colour where it only guesses"
        )

    def set_colour(self, colour: str) -> None:
        """Use the colour that the layer has where the entropy is 1."""
        self._colour = QColor(colour)
        self.update()

    def draw(self, painter: QPainter, theme: Theme) -> None:
        """Draw the words and the ramp between them."""
        painter.setPen(QColor(theme.muted if self.isEnabled() else theme.disabled))
        metrics = painter.fontMetrics()
        first, last = metrics.horizontalAdvance("sure") + 6, metrics.horizontalAdvance("unsure") + 6
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignLeft | middle, "sure")
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignRight | middle, "unsure")
        bar = QRectF(first, self.height() / 2 - 4, self.width() - first - last, 8)
        ramp = QLinearGradient(bar.topLeft(), bar.topRight())
        clear = QColor(self._colour)
        clear.setAlphaF(0.0)
        ramp.setColorAt(0, clear)
        ramp.setColorAt(1, self._colour)
        painter.setOpacity(1.0 if self.isEnabled() else 0.35)
        painter.setPen(QColor(theme.line))
        painter.setBrush(QColor("#101114"))
        painter.drawRoundedRect(bar, 2, 2)
        painter.setBrush(ramp)
        painter.drawRoundedRect(bar, 2, 2)


class Switch(QToggleSwitch):
    """A switch whose words stand level with it, in the colours of the theme."""

    def __init__(self, text: str, tip: str) -> None:
        super().__init__(text)
        self._theme: Theme | None = None
        self.setProperty("tip", tip)
        self.setToolTip(tip)
        self.setFixedHeight(20)

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self._theme = theme
        self.onColor, self.offColor = QColor(theme.accent), QColor(theme.hover)
        self.handleColor = QColor("#ffffff")

    def drawText(self, painter: QPainter, rect: QRectF, option: QStyleOption) -> None:
        """Draw the words in the middle of the height."""
        if self._theme is not None:
            painter.setPen(QColor(self._theme.text if self.isEnabled() else self._theme.disabled))
            painter.setOpacity(1.0)
            place = QRectF(rect.left() + 2, 2, self.width() - rect.left(), self.height())
            painter.drawText(place, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, option.text)


class ReviewPanel(QWidget):
    """Overlays and acceptance of the open case."""

    prediction_shown_requested = Signal(bool)
    uncertainty_shown_requested = Signal(bool)
    differences_requested = Signal(bool)
    opacity_requested = Signal(float)
    model_requested = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.state = ElidedLabel("muted")
        self.brought = ElidedLabel("muted")
        self.brought.hide()
        self.predict_menu = ActionMenu(self, "predict_case", "predict")
        self.models = ChoiceMenu(self)
        self.models.chosen.connect(lambda run: self.model_requested.emit(run))
        self.predict_menu.offer_menu("choose_model", self.models)
        self.predict_menu.offer("keep_model")
        self.predict_button = menu_button(
            "Predict", "Predict with the latest training", self.predict_menu, "flat"
        )
        self.predict_button.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
        self.prediction = Switch("Prediction", "Outline of what the model found")
        self.differences = Switch("Differences", "Only what the model and your own labels disagree on")
        self.uncertainty = Switch("Uncertainty", "Where the model is unsure")
        self.legend = EntropyLegend()
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setValue(80)
        self.opacity.setProperty("tip", "Strength of the overlays")
        self.opacity.setToolTip("Strength of the overlays")
        self.accept = SplitButton(
            "Accept slice",
            "Accept the prediction on this slice as your annotation; what you drew stays",
            "tick",
            ACCEPT,
        )
        self.reject = SplitButton(
            "Reject slice",
            "Reject the prediction on this slice: it is background there; what you drew stays",
            "cross",
            REJECT,
        )
        self._theme: Theme | None = None
        self.prediction.toggled.connect(self.prediction_shown_requested)
        self.differences.toggled.connect(self.differences_requested)
        self.uncertainty.toggled.connect(self.uncertainty_shown_requested)
        self.opacity.valueChanged.connect(self._ask_opacity)
        self._lay_out()

    def _lay_out(self) -> None:
        title = row(plain_label("Review", "title"), self.state, self.predict_button)
        title.setStretch(1, 1)
        looks = row(self.legend, self.opacity, spacing=14)
        looks.setStretch(0, 1)
        looks.setStretch(1, 1)
        toggles = row(self.prediction, self.differences, self.uncertainty)
        for place in range(3):
            toggles.setStretch(place, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        for part in (title, toggles, looks, row(self.accept, self.reject)):
            layout.addLayout(part)
        layout.addWidget(self.brought)

    def set_overlay(
        self, prediction: bool, uncertainty: bool, opacity: float, differences: bool = False
    ) -> None:
        """Show which overlays are on; emits nothing."""
        for part, value in (
            (self.prediction, prediction),
            (self.differences, differences),
            (self.uncertainty, uncertainty),
            (self.opacity, round(100 * opacity)),
        ):
            blocked = part.blockSignals(True)
            part.setValue(value) if part is self.opacity else part.setChecked(value)
            part.blockSignals(blocked)
            part.update()

    def set_blocked(self, looking: str, accepting: str, predicting: str) -> None:
        """Disable overlays, acceptance and prediction, each with the reason."""
        for part in (self.prediction, self.differences, self.uncertainty, self.opacity, self.legend):
            if part is not self.legend:
                allow(part, looking)
            else:
                part.setEnabled(not looking)
        for decision in (self.accept, self.reject):
            decision.allow(accepting)
        allow(self.predict_button, predicting)
        self._draw_icons()

    def set_models(self, models: Sequence[tuple[str, str, bool]]) -> None:
        """Offer the models of the study: the run, a line on it, and whether it is the active one."""
        self.models.set_choices([Choice(run, text, ticked=active) for run, text, active in models])

    def set_state(self, text: str) -> None:
        """Show one line on the prediction at hand, such as its run."""
        self.state.show_text(text)

    def set_brought(self, text: str, details: str) -> None:
        """Show one line on what following the suggestions has brought, none where it is empty."""
        self.brought.show_text(text)
        self.brought.setToolTip(as_tooltip(f"{text}\n\n{details}" if details else text))
        self.brought.setVisible(bool(text))

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self._theme = theme
        self.legend.set_theme(theme)
        for switch in (self.prediction, self.differences, self.uncertainty):
            switch.set_theme(theme)
        self._draw_icons()

    def _draw_icons(self) -> None:
        if self._theme is None:
            return
        for decision in (self.accept, self.reject):
            decision.draw(self._theme)
        enabled = self.predict_button.isEnabled()
        self.predict_button.setIcon(icon("down", self._theme.text if enabled else self._theme.muted))

    def _ask_opacity(self, value: int) -> None:
        self.opacity_requested.emit(value / 100)
