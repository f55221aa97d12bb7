from dataclasses import replace
from types import SimpleNamespace

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QMessageBox, QWidget

from napari_dycon.guidance.quality import Outlook
from napari_dycon.plugin.actions import Situation
from napari_dycon.plugin.widgets.case_table import (
    LABELLED,
    MARKS,
    NAME,
    QUALITY,
    STATUS,
    TIME,
    UNSURE,
    VOLUME,
    percent,
    shared_ends,
    shorten,
)
from napari_dycon.plugin.widgets.cases import CasesPanel
from napari_dycon.study.store.removing import RemovedCase

POSSIBLE = Situation(study=True, scans=True, model=True)


@pytest.fixture
def panel(qtbot, theme, rows):
    panel = CasesPanel()
    qtbot.addWidget(panel)
    panel.set_theme(theme)
    panel.set_rows(rows)
    panel.menu.show_situation(POSSIBLE, "napari")
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
    qtbot.keyClicks(panel.filter.search, "AN 1")
    assert shown(panel) == ["scan 1", "scan 10"]


def test_filter_takes_signs_literally(qtbot, panel):
    qtbot.keyClicks(panel.filter.search, "scan (")
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


def test_the_table_draws_every_status_in_the_height_of_a_row(panel, rows):
    rows[0].to_review, rows[1].flagged, rows[1].note = True, True, "x"
    rows[1].shares = SimpleNamespace(person=0.05, accepted=0.05, interpolated=0.025, ignored=0.0)
    panel.set_rows(rows)
    assert not panel.view.grab().isNull()
    assert {panel.view.rowHeight(place) for place in range(3)} == {22}


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0 %"), (0.0004, "<1 %"), (0.125, "12 %"), (0.9999, ">99 %"), (1, "100 %")]
)
def test_percent_never_rounds_to_nothing_or_all(share, text):
    assert percent(share) == text


def tip(panel, place):
    return panel.proxy.index(place, NAME).data(Qt.ItemDataRole.ToolTipRole)


def text(panel, place, column):
    return panel.proxy.index(place, column).data()


def test_quality_is_a_word_and_a_figure_with_its_range_and_what_it_rests_on(panel, rows):
    rows[0].outlook = Outlook(0.874, 0.81, 9, {0.8: (0.80, 0.93)})
    rows[1].outlook = Outlook(0.66, 0.81, 4, {0.8: (0.5, 0.8)})
    rows[2].reached = 0.912
    panel.set_rows(rows)
    assert [text(panel, place, QUALITY) for place in range(3)] == ["was 0.91", "guess 0.66", "good 0.87"]
    assert "0.87 is expected, 0.80 to 0.93 in 8 of 10 cases" in tip(panel, 2)
    assert "9 patients that you completed" in tip(panel, 2) and "the mean there is 0.81" in tip(panel, 2)
    assert "4 of 9 checked" in tip(panel, 1)
    assert "reached a Dice of 0.91" in tip(panel, 0) and "expected" not in tip(panel, 0)


def test_quality_sorts_from_the_worst_on(qtbot, panel, rows):
    rows[0].outlook, rows[1].outlook, rows[2].reached = Outlook(0.9), Outlook(0.5), 0.4
    panel.set_rows(rows)
    panel.view.sortByColumn(QUALITY, Qt.SortOrder.AscendingOrder)
    assert shown(panel) == ["scan 2", "scan 10", "scan 1"]


def test_cases_that_may_be_left_are_counted_and_found(qtbot, panel, rows):
    assert panel.filter.chips["leave"].isHidden()
    rows[0].outlook, rows[0].may_leave = Outlook(0.95, 0.9, 9, {0.9: (0.9, 1.0)}), True
    panel.set_rows(rows)
    button = panel.filter.chips["leave"]
    assert (
        button.text() == "leave 1" and not button.isHidden() and "You may leave this case" in button.toolTip()
    )
    chip(qtbot, panel, "leave")
    assert shown(panel) == ["scan 10"] and "you may leave this case" in tip(panel, 0)


def test_a_volume_has_a_range_and_says_when_the_scan_cuts_it(panel, rows):
    rows[0].volume_ml, rows[0].volume_range, rows[0].cut = 80.0, (71.26, 93.4), True
    rows[1].volume_ml = None
    panel.set_rows(rows)
    assert text(panel, 2, VOLUME) == "≥ 80" and "–" in shown(panel, VOLUME)
    assert "volume 80 ml, 71.3 ml to 93.4 ml in 8 of 10 cases" in tip(panel, 2)
    assert "touches the edge of the scan" in tip(panel, 2)
    assert "edge" not in tip(panel, 1)


def chip(qtbot, panel, mark):
    qtbot.mouseClick(panel.filter.chips[mark], Qt.MouseButton.LeftButton)


def test_counts_of_each_status_filter_the_list_and_a_second_click_shows_all(qtbot, panel, rows):
    rows[2].to_review = rows[0].flagged = True
    panel.set_rows(rows)
    assert {mark: button.text() for mark, button in panel.filter.chips.items()} == {
        "unlabelled": "0",
        "partial": "1",
        "complete": "1",
        "review": "1",
        "flagged": "1",
        "leave": "leave 0",
    }
    chip(qtbot, panel, "review")
    assert shown(panel) == ["scan 1"]
    chip(qtbot, panel, "flagged")
    assert shown(panel) == ["scan 10"]
    chip(qtbot, panel, "flagged")
    assert len(shown(panel)) == 3


def test_marks_that_no_case_has_take_no_room(panel, rows):
    assert not panel.filter.chips["flagged"].isVisible()
    rows[0].flagged = True
    panel.set_rows(rows)
    assert panel.filter.chips["flagged"].isVisible()


def test_the_search_finds_words_of_notes(qtbot, panel, rows):
    rows[0].note = "Motion at the apex"
    panel.set_rows(rows)
    qtbot.keyClicks(panel.filter.search, "apex")
    assert shown(panel) == ["scan 10"]
    qtbot.keyClick(panel.filter.search, Qt.Key.Key_Escape)
    assert len(shown(panel)) == 3


def test_enter_in_the_search_opens_the_first_hit_and_arrow_down_leads_into_the_list(qtbot, panel):
    opened = []
    panel.open_case_requested.connect(opened.append)
    qtbot.keyClicks(panel.filter.search, "10")
    qtbot.keyClick(panel.filter.search, Qt.Key.Key_Return)
    assert opened == ["a"]
    qtbot.keyClick(panel.filter.search, Qt.Key.Key_Down)
    qtbot.keyClick(panel.view, Qt.Key.Key_Return)
    assert opened == ["a", "a"]


def test_arrows_move_along_the_list_without_opening(qtbot, panel):
    opened = []
    panel.open_case_requested.connect(opened.append)
    panel.view.setCurrentIndex(panel.proxy.index(0, NAME))
    qtbot.keyClick(panel.view, Qt.Key.Key_Down)
    assert panel.selected_cases() == ["b"]
    assert opened == []


def test_rows_stay_in_place_while_their_numbers_change_until_one_sorts_again(qtbot, panel, rows):
    click_heading(qtbot, panel, LABELLED)
    before = shown(panel)
    rows[2].known_fraction, rows[2].status = 0.9, "partial"
    panel.set_rows(rows)
    assert shown(panel) == before
    assert "90 %" in shown(panel, LABELLED)
    click_heading(qtbot, panel, NAME)
    click_heading(qtbot, panel, LABELLED)
    assert shown(panel) != before


def test_a_case_that_leaves_the_filter_by_being_worked_on_stays_until_one_filters_again(qtbot, panel, rows):
    chip(qtbot, panel, "unlabelled")
    rows[2].status = "partial"
    panel.set_rows(rows)
    assert shown(panel) == ["scan 1"]
    chip(qtbot, panel, "unlabelled")
    chip(qtbot, panel, "unlabelled")
    assert shown(panel) == []


def test_a_new_prediction_sorts_anew(qtbot, panel, rows):
    click_heading(qtbot, panel, UNSURE)
    first = shown(panel)
    rows[0].uncertainty = 0.99 if first[0] == "scan 10" else 0.0
    rows[1].uncertainty = 0.2
    panel.set_rows(rows)
    assert shown(panel) != first


def test_the_order_that_is_shown_is_told(qtbot, panel):
    told = []
    panel.order_changed.connect(told.append)
    click_heading(qtbot, panel, NAME)
    click_heading(qtbot, panel, NAME)
    qtbot.keyClicks(panel.filter.search, "scan 1")
    assert ["a", "b", "c"] in told
    assert ["c", "b", "a"] in told
    assert sorted(told[-1]) == ["a", "c"]


@pytest.mark.parametrize("column", [MARKS, TIME])
def test_marked_cases_and_time_can_be_sorted_by(qtbot, panel, rows, column):
    rows[0].flagged, rows[0].seconds = True, 500.0
    panel.set_rows(rows)
    panel.view.choose_column(TIME, True)
    click_heading(qtbot, panel, column)
    first = shown(panel)
    click_heading(qtbot, panel, column)
    assert {first[0], shown(panel)[0]} >= {"scan 10"}


def test_a_narrow_table_leaves_out_columns_before_names_get_cramped(qtbot, panel):
    assert panel.view.isColumnHidden(TIME)
    panel.resize(560, 300)
    qtbot.waitUntil(lambda: not panel.view.isColumnHidden(TIME))
    panel.view.choose_column(TIME, False)
    panel.resize(600, 300)
    qtbot.wait(20)
    assert panel.view.isColumnHidden(TIME)


def test_the_tooltip_tells_who_made_known_what_is_known(panel, rows):
    rows[1].shares = SimpleNamespace(person=0.05, accepted=0.05, interpolated=0.025, ignored=0.0)
    panel.set_rows(rows)
    tip = panel.proxy.index(1, NAME).data(Qt.ItemDataRole.ToolTipRole)
    assert "12 % of the voxels are known: 5 % by you, 5 % accepted, 2 % interpolated" in tip


def test_a_note_is_asked_for_on_enter_for_the_case_it_was_typed_for(qtbot, panel):
    written = []
    panel.note_requested.connect(lambda *given: written.append(given))
    qtbot.keyClicks(panel.line.note, "motion")
    qtbot.keyClick(panel.line.note, Qt.Key.Key_Return)
    assert written == [("b", "motion")]


def test_a_note_is_kept_when_another_case_opens_before_it_was_finished(qtbot, panel, rows):
    written = []
    panel.note_requested.connect(lambda *given: written.append(given))
    qtbot.keyClicks(panel.line.note, "half a th")
    rows[1].open, rows[2].open = False, True
    panel.set_rows(rows)
    assert written == [("b", "half a th")]
    assert panel.line.note.text() == ""


def test_news_from_the_study_do_not_disturb_a_note_that_is_being_typed(qtbot, panel, rows):
    qtbot.keyClicks(panel.line.note, "mot")
    panel.set_rows(rows)
    qtbot.keyClicks(panel.line.note, "ion")
    assert panel.line.note.text() == "motion"


def test_a_note_left_alone_is_written_by_itself(qtbot, panel):
    with qtbot.waitSignal(panel.note_requested, timeout=5000) as told:
        qtbot.keyClicks(panel.line.note, "pause")
    assert told.args == ["b", "pause"]


def test_marks_of_the_open_case_are_buttons(qtbot, panel, rows):
    asked = []
    panel.flag_requested.connect(lambda *given: asked.append(("flag", *given)))
    panel.review_requested.connect(lambda *given: asked.append(("review", *given)))
    qtbot.mouseClick(panel.line.flag, Qt.MouseButton.LeftButton)
    rows[1].to_review = True
    panel.set_rows(rows)
    qtbot.mouseClick(panel.line.review, Qt.MouseButton.LeftButton)
    assert asked == [("flag", ["b"], True), ("review", ["b"], False)]


def test_next_writes_the_note_first(qtbot, panel):
    asked = []
    panel.note_requested.connect(lambda *given: asked.append("note"))
    panel.next_requested.connect(lambda: asked.append("next"))
    qtbot.keyClicks(panel.line.note, "x")
    qtbot.mouseClick(panel.line.next, Qt.MouseButton.LeftButton)
    assert asked == ["note", "next"]


def actions(panel):
    return {action.text(): action for action in panel.menu.make().actions() if action.text()}


def test_the_menu_acts_on_all_selected_cases(panel):
    asked = []
    for signal in (panel.menu.predict_requested, panel.flag_requested, panel.review_requested):
        signal.connect(lambda *given: asked.append(given))
    panel.view.selectAll()
    menu = actions(panel)
    menu["Predict 3 cases"].trigger()
    menu["Flag 3 cases"].trigger()
    assert asked[0] == (["c", "b", "a"],)
    assert sorted(asked[1][0]) == ["a", "b", "c"]


def test_a_case_is_removed_only_after_a_question(qtbot, panel):
    asked = []
    panel.menu.remove_requested.connect(asked.append)
    for answer, removed in (("Cancel", []), ("Remove", [["b"]])):
        panel.view.selectRow(1)
        qtbot.keyClick(panel.view, Qt.Key.Key_Delete)
        box = panel.findChild(QMessageBox)
        assert "scan 2" in box.text()
        button = next(button for button in box.buttons() if button.text() == answer)
        assert answer == "Remove" or box.defaultButton() is button
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: panel.findChild(QMessageBox) is None)
        assert asked == removed


def test_removed_cases_are_in_the_menu(panel):
    asked = []
    panel.menu.restore_requested.connect(asked.append)
    panel.menu.removed_cases = lambda: [RemovedCase("2026-x", "a", "scan 10", "2026-11-21T10:00:00+00:00")]
    panel.view.clearSelection()
    (entry,) = panel.menu.make().actions()
    entry.menu().actions()[0].trigger()
    assert asked == ["2026-x"]


def test_who_only_looks_can_go_on_but_neither_mark_nor_remove(qtbot, panel):
    asked = []
    panel.menu.remove_requested.connect(asked.append)
    panel.set_blocked("read only", "")
    panel.menu.show_situation(replace(POSSIBLE, read_only=True), "napari")
    assert not panel.line.note.isEnabled()
    assert panel.line.next.isEnabled()
    panel.view.selectRow(0)
    assert not actions(panel)["Remove…"].isEnabled()
    qtbot.keyClick(panel.view, Qt.Key.Key_Delete)
    assert panel.findChild(QMessageBox) is None


def test_a_thousand_cases_are_shown_without_a_widget_for_any_of_them(qtbot, panel, make_row):
    before = len(panel.view.findChildren(QWidget))
    panel.set_rows([make_row(f"{number}", f"scan {number}") for number in range(1000)])
    panel.view.scrollToBottom()
    assert shown(panel)[-1] == "scan 999"
    assert len(panel.view.findChildren(QWidget)) == before


def test_only_rows_that_say_something_else_are_drawn_anew(panel, rows):
    drawn = []
    panel.model.dataChanged.connect(lambda first, last: drawn.append((first.row(), last.row())))
    panel.set_rows([replace(row) for row in rows])
    assert drawn == []
    panel.set_rows(
        [replace(row, known_fraction=0.37) if place == 1 else row for place, row in enumerate(rows)]
    )
    assert drawn == [(1, 1)]


def test_rows_that_come_and_go_are_told_one_by_one(panel, make_row):
    resets, told = [], []
    panel.model.modelReset.connect(lambda: resets.append(None))
    panel.model.rowsInserted.connect(lambda _, first, last: told.append(("in", first, last)))
    panel.model.rowsRemoved.connect(lambda _, first, last: told.append(("out", first, last)))
    panel.model.dataChanged.connect(lambda top, bottom: told.append(("new", top.row(), bottom.row())))
    cases = [make_row(f"id{n}", f"case {n}") for n in range(300)]
    panel.set_rows(cases)
    panel.view.selectRow(7)
    panel.view.verticalScrollBar().setValue(5)
    chosen, told[:], resets[:] = panel.selected_cases(), [], []
    cases[3], cases[200] = make_row("id3", "case 3", seconds=5.0), make_row("id200", "case 200", seconds=5.0)
    panel.set_rows([*cases, make_row("id300", "case 300")])
    panel.set_rows(cases[:290])
    assert told == [("new", 3, 3), ("new", 200, 200), ("in", 300, 300), ("out", 290, 300)]
    assert not resets
    assert panel.selected_cases() == chosen
    assert panel.view.verticalScrollBar().value() == 5
    assert panel.shown_cases() == [case.id for case in cases[:290]]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["sub-101_ses-baseline_T1w", "sub-102_ses-baseline_T1w"], ["…101…", "…102…"]),
        (["hippocampus_long_name_001", "hippocampus_long_name_002"], ["…_001", "…_002"]),
        (["a_001_flair", "b_001_flair"], None),
    ],
)
def test_long_names_are_told_apart_by_what_they_do_not_share(names, told):
    shared = shared_ends(names)
    short = [shorten(name, shared, lambda text: len(text) <= 5) for name in names]
    assert len(set(short)) == len(names)
    assert told is None or short == told
    assert [shorten(name, shared, lambda text: True) for name in names] == names


def test_what_was_odd_about_a_scan_is_a_mark_with_its_reason(panel, make_row):
    odd = make_row("a", "scan 1", problems=("The two forms of the header disagree.",))
    panel.set_rows([odd, make_row("b", "scan 2")])
    assert [panel.model.index(row, MARKS).data() for row in (0, 1)] == ["warning", ""]
    assert "forms of the header" in panel.model.index(0, MARKS).data(Qt.ItemDataRole.ToolTipRole)
    assert not panel.view.isColumnHidden(MARKS)
    panel.set_rows([make_row("a", "scan 1"), make_row("b", "scan 2")])
    assert panel.view.isColumnHidden(MARKS)


@pytest.mark.parametrize("lost", [True, False])
def test_a_scan_that_cannot_be_used_is_marked_and_a_lost_one_can_be_looked_for(qtbot, panel, make_row, lost):
    reason = "The scan of a is not at /old/a.nii.gz any more."
    panel.set_rows([make_row("a", "scan 1", problems=(reason,), unusable=True, lost=lost)])
    assert panel.model.index(0, MARKS).data() == "unusable"
    assert reason in panel.model.index(0, MARKS).data(Qt.ItemDataRole.ToolTipRole)
    panel.view.selectRow(0)
    search = [action for action in panel.menu.make().actions() if "moved" in action.text()]
    assert bool(search) == lost
    for action in search:
        with qtbot.waitSignal(panel.menu.search_requested):
            action.trigger()


def say_patients(panel, rows, **patients):
    panel.set_rows([replace(row, patient=patients.get(row.id, "")) for row in rows])


def follows(panel):
    return [panel.proxy.follows(panel.proxy.index(place, NAME)) for place in range(panel.proxy.rowCount())]


def test_exams_of_a_patient_stand_together_in_the_order_of_names_only(panel, rows):
    one, two, ten = sorted(rows, key=lambda row: int(row.name.split()[1]))
    order = []
    panel.order_changed.connect(order.append)
    say_patients(panel, rows, **{one.id: "P1", ten.id: "P1"})
    assert shown(panel) == ["scan 1", "scan 10", "scan 2"] and follows(panel) == [False, True, False]
    assert order[-1] == [one.id, ten.id, two.id]
    panel.view.sortByColumn(NAME, Qt.SortOrder.DescendingOrder)
    assert shown(panel) == ["scan 10", "scan 1", "scan 2"] and follows(panel) == [False, True, False]
    panel.view.sortByColumn(LABELLED, Qt.SortOrder.AscendingOrder)
    assert shown(panel) == ["scan 1", "scan 2", "scan 10"] and not any(follows(panel))
    panel.view.sortByColumn(NAME, Qt.SortOrder.AscendingOrder)
    say_patients(panel, rows)
    assert shown(panel) == ["scan 1", "scan 2", "scan 10"] and not any(follows(panel))


def test_a_patient_stands_where_the_first_exam_that_is_shown_would(panel, rows):
    one, _, ten = sorted(rows, key=lambda row: int(row.name.split()[1]))
    marked = [
        replace(row, note="" if row is one else "seen", patient="P1" if row in (one, ten) else "")
        for row in rows
    ]
    panel.set_rows(marked)
    panel.filter.search.setText("seen")
    assert shown(panel) == ["scan 2", "scan 10"] and not any(follows(panel))


def test_that_exams_stand_apart_is_remembered(panel, rows, qtbot):
    one, _, ten = sorted(rows, key=lambda row: int(row.name.split()[1]))
    say_patients(panel, rows, **{one.id: "P1", ten.id: "P1"})
    panel.view._act(NAME)
    assert shown(panel) == ["scan 1", "scan 2", "scan 10"] and not any(follows(panel))
    again = CasesPanel()
    qtbot.addWidget(again)
    say_patients(again, rows, **{one.id: "P1", ten.id: "P1"})
    assert shown(again) == ["scan 1", "scan 2", "scan 10"]
