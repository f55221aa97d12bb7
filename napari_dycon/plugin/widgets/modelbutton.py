"""The button beside Train that has to do with models of elsewhere."""

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton

from napari_dycon.plugin.widgets.action_menu import ActionMenu
from napari_dycon.plugin.widgets.icons import icon
from napari_dycon.plugin.widgets.parts import set_tip
from napari_dycon.plugin.widgets.theme import Theme

TIP = "Models: start from another one, keep or export this one"


class ModelButton(QPushButton):
    """Opens the menu of models; its tooltip says from which one Train goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("role", "flat")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName("Models")
        self.menu_of_models = ActionMenu(self, "start_from", "", "keep_model", "export_model")
        self.setMenu(self.menu_of_models)
        self.tell(None)

    def tell(self, run: str | None) -> None:
        """Say with which run a training begins; None for a new model."""
        start = "Train begins a new model." if run is None else f"Train goes on from {run}."
        set_tip(self, f"{TIP}\n{start}")

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self.setIcon(icon("model", theme.muted))
