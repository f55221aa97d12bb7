"""The legend says in words what is seen, and stays away from the middle of the scan."""

import pytest
from qtpy.QtGui import QFont, QFontMetricsF

from napari_dycon.plugin.canvases.legend import legend_box
from napari_dycon.plugin.layers.legend import entries


def words(**seen):
    wanted = {"own": True, "model": "", "differences": False, "veil": "", **seen}
    return [(entry.kind, entry.text) for entry in entries(**wanted)]


def test_each_thing_that_is_seen_has_its_words_and_nothing_else_has():
    assert words() == [], "one's own labels need no legend"
    assert words(model="model") == [("fill", "yours"), ("line", "model")]
    assert words(model="model", own=False, veil="#29d4ed") == [("line", "model"), ("heat", "model unsure")]
    assert words(model="model", differences=True) == [
        ("fill", "yours"),
        ("rising", "model only"),
        ("falling", "you only"),
    ]
    assert words(learning="learning, step 40")[-1] == ("line", "learning, step 40")


@pytest.mark.parametrize(("width", "height"), [(1400, 900), (700, 600), (506, 730), (250, 350), (90, 60)])
def test_it_never_reaches_into_the_middle_of_a_canvas(qapp, width, height):
    seen = entries(own=True, model="model", differences=True, veil="#29d4ed", learning="learning, step 12000")
    box = legend_box(seen, QFontMetricsF(QFont()), width, height)
    assert box.isEmpty() or (box.left() >= width * 2 / 3 and box.bottom() <= height / 3)
    assert box.isEmpty() == (width < 600), "in small canvases the dock alone has the words"
    assert legend_box((), QFontMetricsF(QFont()), width, height).isEmpty()
