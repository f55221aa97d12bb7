import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_dycon.plugin.widgets.case_table import (
    LABELLED,
    NAME,
    STATUS,
    UNSURE,
    VOLUME,
    millilitres,
    percent,
)
from napari_dycon.plugin.widgets.cases import CasesPanel


@pytest.fixture
def panel(qtbot, theme, rows):
    panel = CasesPanel()
    qtbot.addWidget(panel)
    panel.set_theme(theme)
    panel.set_rows(rows)
    panel.resize(360, 300)
    panel.show()
    qtbot.waitExposed(panel)
    return panel


def shown(panel, column=NAME):
    return [panel.proxy.index(place, column).data() for place in range(panel.proxy.rowCount())]


def click(qtbot, panel, place, modifier=Qt.KeyboardModifier.NoModifier):
    where = panel.view.visualRect(panel.proxy.index(place, NAME)).center()
    qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, modifier, where)


def click_heading(qtbot, panel, column):
    header = panel.view.horizontalHeader()
    x = header.sectionViewportPosition(column) + header.sectionSize(column) // 2
    where = header.viewport().rect().topLeft()
    where.setX(x)
    where.setY(header.height() // 2)
    qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=where)


def test_names_sort_by_number_as_a_person_reads_them(panel):
    assert shown(panel) == ["scan 1", "scan 2", "scan 10"]


@pytest.mark.parametrize(
    ("column", "ascending"),
    [
        (STATUS, ["scan 1", "scan 2", "scan 10"]),
        (LABELLED, ["scan 1", "scan 2", "scan 10"]),
        (VOLUME, ["scan 1", "scan 10", "scan 2"]),
        (UNSURE, ["scan 10", "scan 1", "scan 2"]),
    ],
)
def test_a_click_on_a_heading_sorts_and_a_second_one_turns_it(qtbot, panel, column, ascending):
    panel.view.sortByColumn(NAME, Qt.SortOrder.AscendingOrder)
    click_heading(qtbot, panel, column)
    first = shown(panel)
    click_heading(qtbot, panel, column)
    assert sorted((first, shown(panel))) == sorted((ascending, ascending[::-1]))
    assert first != shown(panel)


def test_a_click_opens_the_case_and_ctrl_click_only_selects(qtbot, panel, monkeypatch):
    opened = []
    panel.open_case_requested.connect(opened.append)
    click(qtbot, panel, 2)
    assert opened == ["a"]
    monkeypatch.setattr(QApplication, "keyboardModifiers", lambda: Qt.KeyboardModifier.ControlModifier)
    click(qtbot, panel, 0, Qt.KeyboardModifier.ControlModifier)
    assert opened == ["a"]
    assert panel.selected_cases() == ["c", "a"]


def test_enter_opens_the_current_case(qtbot, panel):
    opened = []
    panel.open_case_requested.connect(opened.append)
    panel.view.setCurrentIndex(panel.proxy.index(1, NAME))
    qtbot.keyClick(panel.view, Qt.Key.Key_Return)
    assert opened == ["b"]


def test_filter_keeps_names_that_contain_the_text(qtbot, panel):
    qtbot.keyClicks(panel.filter, "AN 1")
    assert shown(panel) == ["scan 1", "scan 10"]


def test_filter_takes_signs_literally(qtbot, panel):
    qtbot.keyClicks(panel.filter, "scan (")
    assert shown(panel) == []


def test_the_open_case_is_bold_and_others_are_not(panel):
    bold = {
        panel.proxy.index(place, NAME).data(): panel.proxy.index(place, NAME).data(Qt.ItemDataRole.FontRole)
        for place in range(3)
    }
    assert bold["scan 2"].bold()
    assert bold["scan 1"] is None


def test_new_numbers_of_the_same_cases_keep_the_selection(panel, make_row):
    panel.view.selectRow(1)
    panel.set_rows(
        [make_row("a", "scan 10"), make_row("b", "scan 2", "complete", 1.0), make_row("c", "scan 1")]
    )
    assert panel.selected_cases() == ["b"]
    assert shown(panel, LABELLED) == ["0 %", "100 %", "0 %"]


def test_an_opened_case_far_down_comes_into_view(qtbot, panel, make_row):
    many = [make_row(f"{number}", f"scan {number}") for number in range(60)]
    panel.set_rows(many)
    many[50].open = True
    panel.set_rows(many)
    row = panel.proxy.index(50, NAME)
    qtbot.waitUntil(lambda: panel.view.viewport().rect().contains(panel.view.visualRect(row)))
    assert panel.selected_cases() == ["50"], "the selection follows the open case"


def test_count_says_how_much_is_done(panel):
    assert panel.count.text() == "3 · 1 complete · 1 partly"


def test_selected_cases_can_be_predicted(panel):
    wanted = []
    panel.predict_requested.connect(wanted.append)
    panel.view.selectAll()
    panel._predict_selected()
    assert wanted == [["c", "b", "a"]]


def test_the_table_draws_every_status_in_the_height_of_a_row(panel):
    assert not panel.view.grab().isNull()
    assert {panel.view.rowHeight(place) for place in range(3)} == {22}


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0 %"), (0.0004, "<1 %"), (0.125, "12 %"), (0.9999, ">99 %"), (1, "100 %")]
)
def test_percent_never_rounds_to_nothing_or_all(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(
    ("volume", "text"), [(None, "–"), (0.4567, "0.457 ml"), (65.93, "65.9 ml"), (1234.5, "1234 ml")]
)
def test_volumes_have_three_digits(volume, text):
    assert millilitres(volume) == text


def test_the_tooltip_tells_what_the_model_expects_of_its_prediction(panel, rows):
    rows[0].expected_dice = 0.874
    panel.set_rows(rows)
    tips = [
        panel.proxy.index(place, NAME).data(Qt.ItemDataRole.ToolTipRole)
        for place in range(panel.proxy.rowCount())
    ]
    assert sum("expects a Dice of 0.87" in tip for tip in tips) == 1
    assert sum("expects" in tip for tip in tips) == 1
