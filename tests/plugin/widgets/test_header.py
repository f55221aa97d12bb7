import pytest
from qtpy.QtCore import Qt

from napari_dycon.plugin.widgets.header import EmptyPanel, HeaderPanel
from napari_dycon.plugin.widgets.messages import MessageLine


@pytest.fixture
def header(qtbot):
    header = HeaderPanel()
    qtbot.addWidget(header)
    header.resize(360, 60)
    header.show()
    qtbot.waitExposed(header)
    return header


def test_a_long_name_is_shortened_and_never_widens_the_dock(header):
    header.set_study("A very long name of a study " * 8, "/data/study", False)
    header.set_device("NVIDIA GeForce RTX 4090")
    assert header.minimumSizeHint().width() <= 360
    assert header.name.width() < 360
    assert "/data/study" in header.name.toolTip()


def test_saved_state_turns_red_when_it_failed(header):
    header.set_saved("Saved 12:03:05", True)
    assert header.saved.property("role") == "muted"
    header.set_saved("Not saved: the disk is full", False)
    assert header.saved.property("role") == "bad"
    assert "disk is full" in header.saved.toolTip()


def test_read_only_is_marked(header):
    header.set_study("Study", "/data", True)
    assert header.read_only.isVisible()
    header.set_study("Study", "/data", False)
    assert not header.read_only.isVisible()


def test_menus_lead_to_every_way_in(qtbot, header):
    opens, adds = header.open_button.menu().actions(), header.add_button.menu().actions()
    asked = []
    for menu in (header.open_menu, header.add_menu):
        menu.asked.connect(asked.append)
    for action in (*opens, *adds):
        if not action.isSeparator():
            action.trigger()
    ways = ["add_scans", "add_folder", "add_labelled_folder", "find_scans"]
    readers = ["call_reader", "invite_reader", "compare_readers", "readers_apart", "decide_readers"]
    assert asked == ["choose_study", "open_demo", *readers, *ways]
    with qtbot.waitSignal(header.export_requested):
        qtbot.mouseClick(header.export_button, Qt.MouseButton.LeftButton)


def test_the_empty_state_offers_two_ways_to_begin(qtbot, theme):
    panel = EmptyPanel()
    qtbot.addWidget(panel)
    panel.set_theme(theme)
    panel.show()
    with qtbot.waitSignal(panel.open_requested):
        qtbot.mouseClick(panel.open_button, Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(panel.demo_requested):
        qtbot.mouseClick(panel.demo_button, Qt.MouseButton.LeftButton)
    panel.set_task("Making the demo study", 0.5)
    assert not panel.demo_button.isEnabled()
    assert panel.progress.isVisible()


def test_messages_are_plain_text_and_move_nothing(qtbot, theme):
    line = MessageLine()
    qtbot.addWidget(line)
    line.set_theme(theme)
    line.resize(360, 20)
    line.show()
    empty = line.height()
    line.show_message("error", "<img src=x> " + "long " * 100)
    assert line.text.startswith("<img src=x>")
    assert line.label.textFormat() == Qt.TextFormat.PlainText
    assert "&lt;img" in line.label.toolTip()
    assert line.height() == empty
    qtbot.mouseClick(line.dismiss_button, Qt.MouseButton.LeftButton)
    assert line.text == ""


def test_the_device_is_named_once_it_is_known(header):
    header.set_device("auto")
    assert not header.device.isVisible()
    header.set_device("cuda")
    assert header.device.text() == "GPU"
