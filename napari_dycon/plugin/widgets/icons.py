"""Icons of the Lucide set (https://lucide.dev, ISC), from files beside this one, in colours of the theme."""

from functools import lru_cache
from importlib.resources import files

from qtpy.QtCore import QByteArray, QRectF, Qt
from qtpy.QtGui import QColor, QIcon, QImage, QPainter, QPixmap
from qtpy.QtSvg import QSvgRenderer

ICON = 16
SCALES = (1, 2, 3)
"""How many pixels of a screen are one of ours; an icon is drawn anew for each, so that none is blurred."""

FILES = {
    "complete": "circle-check",
    "partial": "contrast",
    "unlabelled": "circle",
    "review": "eye",
    "flagged": "flag",
    "note": "sticky-note",
    "unusable": "circle-x",
    "pause": "pause",
    "play": "play",
    "stop": "square",
    "tick": "check",
    "cross": "x",
    "tick box": "square-check",
    "empty box": "square",
    "plus": "plus",
    "left": "chevron-left",
    "right": "chevron-right",
    "down": "chevron-down",
    "info": "info",
    "warning": "triangle-alert",
    "undo": "undo-2",
    "redo": "redo-2",
    "brush": "brush",
    "range": "chart-column",
    "interpolate": "align-vertical-space-around",
    "grow": "sprout",
    "clean": "brush-cleaning",
    "region": "square-dashed",
    "known": "grid-2x2-check",
    "window": "sun-medium",
    "more": "ellipsis",
    "settings": "sliders-horizontal",
    "machine": "server",
    "model": "box",
    "reset": "rotate-ccw",
    "locked": "lock",
    "hidden": "eye-off",
}
"""What each icon is called here, and in the set."""


def icon(name: str, colour: str) -> QIcon:
    """Return an icon (see ``FILES``) in ``colour``.

    It has that colour on a disabled button too: Qt would make it paler, which is brighter in a dark theme.
    """
    result = QIcon()
    for mode in (QIcon.Mode.Normal, QIcon.Mode.Disabled):
        _add(result, name, colour, mode)
    return result


def two_icons(name: str, off: str, on: str, disabled: str) -> QIcon:
    """Return an icon for a button that stays down: in the colour ``off``, and in ``on`` while it is down."""
    result = QIcon()
    _add(result, name, off, QIcon.Mode.Normal)
    _add(result, name, on, QIcon.Mode.Normal, QIcon.State.On)
    _add(result, name, disabled, QIcon.Mode.Disabled)
    return result


def _add(to: QIcon, name: str, colour: str, mode: QIcon.Mode, state: QIcon.State = QIcon.State.Off) -> None:
    for scale in SCALES:
        to.addPixmap(QPixmap.fromImage(_picture(name, colour, scale)), mode, state)


@lru_cache(maxsize=1024)
def _picture(name: str, colour: str, scale: int) -> QImage:
    """Draw an icon once: buttons ask for theirs with every step of a training."""
    picture = QImage(ICON * scale, ICON * scale, QImage.Format.Format_ARGB32_Premultiplied)
    picture.fill(Qt.GlobalColor.transparent)
    picture.setDevicePixelRatio(scale)
    painter = QPainter(picture)
    draw_icon(painter, name, QColor(colour), QRectF(0, 0, ICON, ICON))
    painter.end()
    return picture


def draw_icon(painter: QPainter, name: str, colour: QColor, box: QRectF) -> None:
    """Draw the icon ``name`` (see ``FILES``) into ``box``, in units of ``painter``."""
    source = _source(name).replace("currentColor", colour.name())
    QSvgRenderer(QByteArray(source.encode())).render(painter, box)


@lru_cache
def _source(name: str) -> str:
    return files(__package__).joinpath("lucide", f"{FILES[name]}.svg").read_text(encoding="utf-8")
