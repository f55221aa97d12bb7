"""The tool in the hand, and what it says of the voxels it touches."""

from psygnal import Signal

from napari_dycon.plugin.controllers.current_study import CurrentStudy
from napari_dycon.plugin.controllers.desk import Desk
from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.grower import Grower
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.structures import Structures
from napari_dycon.plugin.controllers.views import Views
from napari_dycon.plugin.layers.brush import Says
from napari_dycon.plugin.layers.hand import Hand
from napari_dycon.plugin.layers.presenter import Presenter
from napari_dycon.plugin.layers.styles import SCAN

PAINTING = ("paint", "fill", "polygon")


class Tools:
    """Which tool the person holds, and what the brush says.

    Parameters
    ----------
    current
        Holds the study.
    dialogue
        Told of the person's errors.
    desk
        Has the open case.
    presenter, hand
        Have the layer that is painted on, and its tool.
    structures
        Has the active structure.
    views
        Shows the known map, on which marks are seen.
    grower
        Has the hand while a piece grows.

    Attributes
    ----------
    says
        What the brush says.
    paint_range
        Lowest and highest intensity that is painted on, as last chosen.
    range_on
        Whether painting keeps to it.
    """

    changed = Signal()

    def __init__(
        self,
        current: CurrentStudy,
        dialogue: Dialogue,
        desk: Desk,
        presenter: Presenter,
        hand: Hand,
        structures: Structures,
        views: Views,
        grower: Grower,
    ) -> None:
        self._current, self._dialogue, self._desk = current, dialogue, desk
        self._presenter, self._hand, self._structures, self._views = presenter, hand, structures, views
        self._grower = grower
        self.says = Says.STRUCTURE
        self.paint_range = (0.0, 1.0)
        self.range_on = False
        self._ranged: str | None = None
        self._showed_known = False
        self._painted_value = structures.active_value
        desk.history.connect(self.changed)
        structures.changed.connect(self._on_structure)

    # ---- the tool ----------------------------------------------------------------------------

    @property
    def tool(self) -> str:
        """The tool in the hand: paint, erase, fill, polygon, pick, pan_zoom …; empty without a case."""
        return "" if self._desk.case is None else self._hand.tool

    @intention
    def take_brush(self) -> None:
        """Take the brush, or put it down again."""
        self.take("pan_zoom" if self.tool == "paint" else "paint")

    @intention
    def take(self, mode: str) -> None:
        """Take a tool for the annotation: paint, erase, fill, polygon, pick or pan_zoom."""
        self._hand.take(mode)

    def grow(self) -> None:
        """Let a piece grow from strokes, or call that off."""
        self._grower.start()

    @property
    def growing(self) -> bool:
        """Whether a piece is on its way."""
        return self._grower.busy

    def close(self, seconds: float) -> bool:
        """Let no piece grow on; return whether that ended within so many seconds."""
        return self._grower.close(seconds)

    def undo(self) -> None:
        """Take back the last stroke of a piece that grows, else the last change of the labels."""
        self._grower.undo()

    def redo(self) -> None:
        """Do again what was undone last."""
        self._grower.redo()

    @intention
    def change_brush(self, step: int) -> None:
        """Make the brush bigger or smaller by ``step`` voxels."""
        self._hand.change_brush(step)

    def hear_tool(self) -> None:
        """Hear which tool is taken for the case that was just shown, by whatever key or button."""
        layer = self._presenter.annotation
        if layer is not None:
            layer.events.mode.connect(self._on_tool)
        self.changed.emit()

    def _on_tool(self, event: object = None) -> None:
        del event
        if self.tool in PAINTING:
            self._structures.have_one()
        self.changed.emit()

    # ---- what it says ------------------------------------------------------------------------

    @intention
    def paint_as(self, key: str) -> None:
        """Let strokes say the structure, "background", "ignore" or "forget".

        All but the first are seen on the known map, which is shown meanwhile.
        """
        self._current.writable()
        self._desk.open_case()
        self._say_with_brush(Says(key))
        layer = self._presenter.annotation
        if self.says is not Says.STRUCTURE and layer is not None:
            self._presenter.viewer.layers.selection.active = layer
            if str(layer.mode) not in PAINTING:
                layer.mode = "paint"

    def _say_with_brush(self, says: Says) -> None:
        self.says = self._presenter.brush.says = says
        marking = says is not Says.STRUCTURE
        if marking != self._views.known_shown and marking != self._showed_known:
            self._showed_known = marking
            self._views.toggle_known_map()
        self.changed.emit()

    def _on_structure(self) -> None:
        """Whoever chooses another structure wants to paint it."""
        before, self._painted_value = self._painted_value, self._structures.active_value
        if before != self._painted_value and self.says is not Says.STRUCTURE:
            self._say_with_brush(Says.STRUCTURE)

    # ---- where it paints ---------------------------------------------------------------------

    @property
    def intensity_bounds(self) -> tuple[float, float]:
        """Smallest and largest intensity of the open case."""
        case = self._desk.case
        return case.picture.intensity_range if case is not None else (0.0, 1.0)

    @intention
    def limit_paint(self, on: bool) -> None:
        """Paint only where the intensity lies in the range, or everywhere again; erasing is free."""
        self.range_on = on
        self._apply_range()

    @intention
    def set_paint_range(self, low: float, high: float) -> None:
        """Choose the intensities that are painted on, in units of the scan."""
        self.paint_range = (low, high)
        self._apply_range()

    def range_for_case(self) -> None:
        """Begin with the window of the first case; keep the range while it means something in the next."""
        bounds, (low, high) = self.intensity_bounds, self.paint_range
        study = str(self._current.require().path)
        if self._ranged != study or high < bounds[0] or low > bounds[1]:
            scan = self._presenter.layer(SCAN)
            assert scan is not None
            low, high = (float(limit) for limit in scan.contrast_limits)
            self.paint_range, self._ranged = (low, high), study
        self._apply_range()

    def _apply_range(self) -> None:
        self._presenter.brush.limits = self.paint_range if self.range_on else None
        self.changed.emit()
