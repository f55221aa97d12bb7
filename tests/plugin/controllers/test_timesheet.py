import pytest

from napari_dycon.plugin.controllers.timesheet import TimeSheet, duration


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def pass_by(self, seconds):
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sheet(clock):
    return TimeSheet(clock, idle=60)


def test_work_counts_for_the_case_that_is_open(sheet, clock):
    sheet.turn_to("a")
    clock.pass_by(10)
    sheet.touch()
    clock.pass_by(5)
    sheet.turn_to("b")
    clock.pass_by(7)
    assert sheet.take() == {"a": 15, "b": 7}


def test_time_is_taken_only_once(sheet, clock):
    sheet.turn_to("a")
    clock.pass_by(10)
    assert sheet.take() == {"a": 10}
    assert sheet.take() == {}
    clock.pass_by(3)
    assert sheet.take() == {"a": 3}


def test_the_clock_stops_a_minute_after_the_last_sign_of_life(sheet, clock):
    sheet.turn_to("a")
    clock.pass_by(3600)
    sheet.touch()
    clock.pass_by(4)
    assert sheet.take() == {"a": 64}


def test_looking_now_and_then_while_idle_counts_no_more(sheet, clock):
    sheet.turn_to("a")
    for _ in range(20):
        clock.pass_by(30)
        sheet.take()
    assert sheet.take() == {}


def test_nothing_counts_while_no_case_is_open(sheet, clock):
    sheet.touch()
    clock.pass_by(10)
    sheet.turn_to("a")
    clock.pass_by(1)
    sheet.turn_to(None)
    clock.pass_by(10)
    sheet.touch()
    clock.pass_by(10)
    assert sheet.take() == {"a": 1}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "–"), (5, "<1 min"), (60, "1 min"), (3599, "59 min"), (3600, "1 h 00"), (7505, "2 h 05")],
)
def test_a_duration_as_the_table_shows_it(seconds, text):
    assert duration(seconds) == text


def test_all_seconds_are_counted_whatever_the_case_and_whoever_takes_them(sheet, clock):
    sheet.turn_to("a")
    clock.pass_by(10)
    sheet.take()
    sheet.turn_to("b")
    clock.pass_by(5)
    assert sheet.seconds == 15
    clock.pass_by(100)
    assert sheet.seconds == 70
