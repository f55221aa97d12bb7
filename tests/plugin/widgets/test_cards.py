"""The cards of the suggestions: everything is said, nothing is cut, and each key has its button."""

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from napari_dycon.guidance.suggestions import Suggestion
from napari_dycon.plugin.widgets.cardbench import tell_time
from napari_dycon.plugin.widgets.cards import Card, CardsPanel

LEFT = Qt.MouseButton.LeftButton


def card(reason="edge unclear", **changes):
    said = {"where": "Axial 41 of 88", "case": "scan 3", "structure": "atrium", "colour": "#e6550d"}
    return Card(reason=reason, **{**said, **changes})


@pytest.fixture
def panel(qtbot, theme):
    panel = CardsPanel()
    qtbot.addWidget(panel)
    panel.set_theme(theme)
    panel.set_cards([card(), card("inside unclear"), card("extent unclear")], 0)
    panel.resize(360, 200)
    panel.show()
    qtbot.waitExposed(panel)
    return panel


@pytest.mark.parametrize(
    ("button", "signal"),
    [
        ("next_button", "next_requested"),
        ("skip_button", "skip_requested"),
        ("finish_button", "finish_requested"),
    ],
)
def test_buttons_say_what_the_user_wants(qtbot, panel, button, signal):
    with qtbot.waitSignal(getattr(panel, signal)):
        qtbot.mouseClick(getattr(panel, button), LEFT)


def test_a_card_tells_position_place_structure_and_the_whole_reason(qtbot, panel):
    long = "Left atrium edge unclear;\nno labelled slice within 30 mm" * 5
    panel.set_cards([card(), card(), card(long), *[card()] * 5], 2)
    panel.resize(340, panel.heightForWidth(340))
    qtbot.wait(20)
    assert panel.position.text() == "3 of 8"
    assert panel.where.text() == "Axial 41 of 88" and panel.case.text() == "scan 3"
    assert panel.reason.wordWrap() and panel.reason.text() == long
    assert panel.reason.height() >= panel.reason.heightForWidth(panel.reason.width())
    assert panel.previous_button.isEnabled()


def test_a_reason_begins_like_a_sentence_whatever_stands_before_it(panel):
    panel.set_cards([card("right ventricle edge unclear"), card("left atrium apart", state="done")], 0)
    assert panel.reason.text() == "Right ventricle edge unclear"
    panel.set_cards([card(), card("left atrium apart", state="done")], 1)
    assert panel.reason.text() == "Done. Left atrium apart"


@pytest.mark.parametrize(
    ("level", "seconds", "said"),
    [("slice", 125, "about 2 min"), ("slice", 1200, "over 5 min"), ("case", 1200, "about 20 min")],
)
def test_no_slice_is_said_to_take_longer_than_a_hand_would_draw_on_it(level, seconds, said):
    box = ((0, 1),) * 3
    about = {"structure": 1, "structure_name": "one", "score": 1.0, "reason": ""}
    place = Suggestion("a", "axial", 2, 1, box, **about, level=level, seconds=seconds)
    assert tell_time(place) == said


def test_what_became_of_a_place_is_said_on_its_card(panel):
    panel.set_cards([card(state="done"), card(state="skipped")], 0)
    assert panel.reason.text().startswith("Done. ")
    panel.set_cards([card(state="done"), card(state="skipped")], 1)
    assert panel.reason.text().startswith("Skipped. ")


def test_before_the_first_place_only_the_way_to_it_is_shown(panel):
    panel.set_cards([card()] * 8, -1)
    assert panel.position.text() == "8 places"
    assert not panel.card.isVisible() and not panel.skip_button.isVisible()
    assert panel.next_button.isEnabled() and not panel.previous_button.isEnabled()


def test_without_suggestions_the_button_says_what_to_do(panel):
    panel.set_cards([], -1)
    assert not panel.next_button.isEnabled()
    assert "Train" in panel.next_button.toolTip()
    assert not panel.queue.isVisible()


def test_a_click_on_the_line_asks_for_that_place(qtbot, panel):
    middle = panel.queue.field(2).center().toPoint()
    with qtbot.waitSignal(panel.place_requested) as asked:
        qtbot.mouseClick(panel.queue, LEFT, pos=QPoint(middle))
    assert asked.args == [2]


def test_the_picture_is_what_was_given(panel):
    assert panel.picture.empty
    picture = np.zeros((192, 192, 3), np.uint8)
    picture[:, 96:] = (200, 30, 60)
    panel.set_cards([card(picture=picture)], 0)
    seen = panel.picture.grab().toImage()
    right = seen.pixelColor(seen.width() * 3 // 4, seen.height() // 2)
    assert abs(right.red() - 200) < 4 and abs(right.blue() - 60) < 4
    assert seen.pixelColor(seen.width() // 4, seen.height() // 2).red() < 4


def test_a_piece_is_accepted_or_rejected_on_its_card_until_it_is_decided(qtbot, panel):
    panel.set_cards([card(decides=True, time="about 5 s"), card()], 0)
    assert panel.accept_button.isVisible() and panel.reject_button.isVisible()
    assert not panel.finish_button.isVisible() and panel.time.text() == "about 5 s"
    for button, signal in (
        (panel.accept_button, "accept_requested"),
        (panel.reject_button, "reject_requested"),
    ):
        with qtbot.waitSignal(getattr(panel, signal)):
            qtbot.mouseClick(button, LEFT)
    panel.set_cards([card(decides=True, state="done"), card()], 0)
    assert not panel.accept_button.isVisible() and panel.finish_button.isVisible()
    panel.set_cards([card(decides=True), card()], 1)
    assert not panel.reject_button.isVisible() and panel.finish_button.isVisible()


@pytest.mark.parametrize("level", ["slice", "region", "case"])
def test_whatever_a_card_is_about_it_fits_into_the_dock(make_dock, session, rows, place, level):
    session.open_with(rows)
    session.suggestions.places, session.suggestions.index = [place("b", "edge unclear", level=level)], 0
    dock = make_dock()
    assert dock.cards.accept_button.isVisible() == (level == "region")
    assert dock.cards.minimumSizeHint().width() <= dock.minimumSizeHint().width() - 20
    assert dock.cards.where.text().startswith({"slice": "Axial", "region": "Piece", "case": "Whole"}[level])
