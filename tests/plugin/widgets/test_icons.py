from importlib.resources import files

import pytest
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QColor, QIcon

from napari_dycon.plugin.widgets.icons import FILES, ICON, icon, two_icons

FOLDER = files("napari_dycon.plugin.widgets") / "lucide"
COLOUR = "#e07020"


def image(drawn, scale, mode=QIcon.Mode.Normal, state=QIcon.State.Off):
    return drawn.pixmap(QSize(ICON, ICON), scale, mode, state).toImage()


def strongest(picture):
    """Return the colour of the pixel that is least transparent."""
    pixels = [picture.pixelColor(x, y) for x in range(picture.width()) for y in range(picture.height())]
    return max(pixels, key=QColor.alpha)


def near(colour, other):
    return max(abs(a - b) for a, b in zip(colour.getRgb()[:3], QColor(other).getRgb()[:3], strict=True)) < 8


@pytest.mark.parametrize("name", FILES)
def test_an_icon_has_its_colour_and_is_drawn_anew_for_a_finer_screen(qapp, name):
    plain, fine = image(icon(name, COLOUR), 1.0), image(icon(name, COLOUR), 2.0)
    assert near(strongest(plain), COLOUR) and strongest(plain).alpha() > 150
    assert fine.size() == QSize(2 * ICON, 2 * ICON)
    blurred = plain.scaled(fine.size(), transformMode=Qt.TransformationMode.SmoothTransformation)
    assert strongest(fine).alpha() > 250, "a line is as wide as a pixel there"
    assert fine != blurred and fine != plain.scaled(fine.size())


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_a_button_that_stays_down_has_a_colour_for_each_state(qapp, scale):
    drawn = two_icons("brush", "#ff0000", "#00ff00", "#0000ff")
    for colour, mode, state in (
        ("#ff0000", QIcon.Mode.Normal, QIcon.State.Off),
        ("#00ff00", QIcon.Mode.Normal, QIcon.State.On),
        ("#0000ff", QIcon.Mode.Disabled, QIcon.State.Off),
    ):
        picture = image(drawn, scale, mode, state)
        assert near(strongest(picture), colour)
        assert picture.width() == round(ICON * scale)


def test_the_folder_holds_what_is_drawn_and_the_licence_of_the_set():
    names = {path.name for path in FOLDER.iterdir()}
    assert names == {"LICENSE", *(f"{file}.svg" for file in FILES.values())}
    assert "ISC License" in (FOLDER / "LICENSE").read_text(encoding="utf-8")
