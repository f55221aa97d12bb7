"""The question in the place of the tools, in a narrow dock."""

import pytest
from qtpy.QtCore import Qt

from napari_dycon.plugin.controllers.question import Question
from napari_dycon.plugin.controllers.regions import DEPTH, WITH_MODEL

MARGIN = 20
FILL = (("fill", "Fill"), ("cancel", "Cancel"))
MERGE = (("change", "Merge"), ("cancel", "Cancel"))
QUESTIONS = [
    ("This region:", WITH_MODEL),
    ("Which slices?", DEPTH),
    ("Fill the 14 slices in between?", FILL),
    ("Merge “pulmonary veins” into “left atrium” in 20 cases?", MERGE),
    ("Click the corners; double-click the last.", (("cancel", "Cancel"),)),
]


@pytest.fixture
def tools(make_dock, session, rows):
    session.open_with(rows)
    return make_dock().tools


def ask(qtbot, tools, text, answers, width):
    tools.parentWidget().layout().removeWidget(tools)
    tools.setParent(tools.window())
    tools.setGeometry(0, 0, width - MARGIN, tools.height())
    tools.show()
    tools.set_question(Question(text=text, answers=answers))
    qtbot.wait(30)
    return tools.strip


@pytest.mark.parametrize("width", [320, 360, 380, 600])
@pytest.mark.parametrize(("text", "answers"), QUESTIONS)
def test_the_sentence_can_be_read_and_every_answer_given(qtbot, tools, text, answers, width):
    strip = ask(qtbot, tools, text, answers, width)
    label, metrics = strip.text, strip.text.fontMetrics()
    assert label._elidedText() == text
    assert label.width() * (label.height() // metrics.height()) >= metrics.horizontalAdvance(text)
    shown = [button for button in (*strip.buttons.values(), strip.more) if button.isVisible()]
    assert all(button.width() >= button.sizeHint().width() for button in shown)
    assert strip.buttons["cancel"].isVisible()
    offered = {key for key, button in strip.buttons.items() if button.isVisible()}
    assert offered | {action.data() for action in strip.menu.actions()} == {key for key, _ in answers}
    assert strip.more.isVisible() is bool(strip.menu.actions())


WAYS = (("from:intensities", "By intensities"), ("from:nninteractive", "nnInteractive"))


@pytest.mark.parametrize("width", [320, 360, 600])
def test_where_it_can_be_done_in_several_ways_the_one_in_use_is_named_and_another_chosen(qtbot, tools, width):
    answers = (("take", "Take over"), ("cancel", "Cancel"))
    strip, given = ask(qtbot, tools, "Take this piece over? 4.6 ml", answers, width), []
    assert not strip.way.isVisible()
    tools.set_question(Question("Take this piece over? 4.6 ml", answers, WAYS, WAYS[1][0]))
    qtbot.wait(30)
    strip.answered.connect(given.append)
    assert strip.way.isVisible()
    assert strip.way.text() == ("nnInteractive" if width == 600 else "")
    assert "nnInteractive" in strip.way.toolTip()
    assert strip.way.width() >= strip.way.sizeHint().width()
    assert strip.text._elidedText() == "Take this piece over? 4.6 ml"
    assert strip.buttons["take"].isVisible() or strip.more.isVisible()
    assert [entry.isChecked() for entry in strip.way_menu.actions()] == [False, True]
    strip.way_menu.actions()[0].trigger()
    assert given == ["from:intensities"]


def test_an_answer_for_which_there_is_no_room_is_given_in_the_menu(qtbot, tools):
    strip, given = ask(qtbot, tools, "This region:", WITH_MODEL, 360), []
    strip.answered.connect(given.append)
    assert strip.buttons["complete"].isVisible()
    next(action for action in strip.menu.actions() if action.data() == "forget").trigger()
    qtbot.mouseClick(strip.buttons["complete"], Qt.MouseButton.LeftButton)
    qtbot.mouseClick(strip.buttons["cancel"], Qt.MouseButton.LeftButton)
    assert given == ["forget", "complete", "cancel"]


@pytest.mark.parametrize("height", [560, 640, 800])
def test_a_question_moves_nothing_in_a_window_of_any_height(qtbot, tools, height):
    dock = tools.window()
    dock.resize(380, height)
    qtbot.wait(30)
    place = tools.geometry()
    tools.set_question(Question(text="Fill the 14 slices in between?", answers=FILL))
    qtbot.wait(30)
    assert tools.geometry() == place
