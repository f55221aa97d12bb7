"""Menus of actions and of things that have names: words, keys, reasons, ticks, menus within menus."""

import pytest

from napari_dycon.plugin.actions import NO_CASE, NO_OTHER, Situation
from napari_dycon.plugin.widgets.action_menu import ActionMenu, Choice, ChoiceMenu


@pytest.fixture
def asked():
    return []


@pytest.fixture
def make(qtbot, asked):
    def menu(*names):
        made = ActionMenu(None, *names)
        qtbot.addWidget(made)
        made.asked.connect(asked.append)
        return made

    return menu


def test_an_entry_has_words_key_and_reason_of_its_action(make):
    menu = make("accept_slice", "", "accept_case")
    menu.show_situation(Situation(), "napari")
    assert menu.entry("accept_slice").text() == "Accept on this slice\tCtrl+Shift+A"
    assert menu.entry("accept_case").text() == "Accept the whole case"
    assert not menu.entry("accept_case").isEnabled()
    assert menu.entry("accept_case").toolTip() == NO_CASE
    menu.show_situation(Situation(study=True, case=True, prediction=True), "napari")
    assert menu.entry("accept_case").isEnabled() and NO_CASE not in menu.entry("accept_case").toolTip()


def test_an_entry_names_what_it_is_about_and_keeps_it(make):
    menu = make("rename_structure", "window_lung")
    menu.tell("rename_structure", "{A} & B")
    menu.tell("window_lung", "W 1400")
    menu.show_situation(Situation(), "napari")
    assert menu.entry("rename_structure").text() == "Rename {A} && B"
    assert menu.entry("window_lung").text() == "Lung  W 1400"
    menu.tell("rename_structure", "")
    assert menu.entry("rename_structure").text() == "Rename"


def test_one_of_them_is_ticked(make, asked):
    menu = make("say_structure", "say_forget")
    menu.tick("say_forget")
    assert [entry.isChecked() for entry in menu.actions()] == [False, True]
    menu.entry("say_structure").trigger()
    assert asked == ["say_structure"]
    assert [entry.isChecked() for entry in menu.actions()] == [True, False]
    menu.tick("")
    assert not any(entry.isChecked() for entry in menu.actions())


def test_what_is_chosen_within_is_asked_for_once_and_there_only(make, asked):
    menu, inner, names, chosen = make("rename_structure"), make("clear_structure"), ChoiceMenu(None), []
    names.chosen.connect(chosen.append)
    names.set_choices([Choice("rename_structure", "A & B")])
    menu.offer_menu("remove_structure", inner)
    menu.offer_menu("merge_structure", names)
    menu.show_situation(Situation(study=True, structures=2), "napari")
    inner.entry("clear_structure").trigger()
    names.actions()[0].trigger()
    assert names.actions()[0].text() == "A && B"
    assert asked == ["clear_structure"] and chosen == ["rename_structure"]
    menu.show_situation(Situation(study=True, structures=1), "napari")
    for name in ("merge_structure", "remove_structure"):
        assert not menu.entry(name).isEnabled() and menu.entry(name).toolTip() == NO_OTHER
    assert not inner.entry("clear_structure").isEnabled()


def test_a_menu_within_that_is_empty_cannot_be_opened(make):
    menu, names = make("predict"), ChoiceMenu(None)
    menu.offer_menu("choose_model", names)
    for choices in ([], [Choice("1", "the last", ticked=True)]):
        names.set_choices(choices)
        menu.show_situation(Situation(study=True, model=True), "napari")
        assert menu.entry("choose_model").isEnabled() is bool(choices)
    assert names.actions()[0].isChecked()
