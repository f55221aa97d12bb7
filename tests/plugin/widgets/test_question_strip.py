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
