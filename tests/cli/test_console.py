"""What a command shows: a terminal gets bars and tables, a log file plain lines, and Ctrl-C saves first."""

import io
import json
import signal
from types import SimpleNamespace

import pytest
from rich.console import Console

from napari_dycon.cli import console
from napari_dycon.cli.console import (
    Screen,
    clock,
    count,
    require_writable_json,
    stop_on_interrupt,
    thread_limit,
    write_json,
)
from napari_dycon.errors import VolumeError

ROWS = [("case", "Dice"), ("brain", "0.91"), ("a", "0.5")]


def test_a_log_file_gets_columns_that_are_aligned(capsys):
    Screen().table(ROWS)
    assert capsys.readouterr().out.splitlines() == ["case   Dice", "brain  0.91", "a      0.5"]


def test_names_from_files_are_shown_as_they_are(capsys):
    Screen().line("[red]heart[/red] :smile: " + "x" * 300)
    assert capsys.readouterr().out == "[red]heart[/red] :smile: " + "x" * 300 + "\n"


def test_a_log_file_gets_a_line_of_progress_every_few_seconds(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    with Screen().bar("Training") as bar:
        for step in range(12):
            bar.update(step / 12, f"step {step}")
            now[0] += 1
    assert capsys.readouterr().out.splitlines() == ["Training  42%  step 5", "Training  83%  step 10"]


def test_a_terminal_gets_a_bar_that_goes_away(monkeypatch):
    screen, terminal = Screen(), io.StringIO()
    screen._console = Console(file=terminal, force_terminal=True, width=80)
    with screen.bar("Training") as bar:
        bar.update(1.0, "step 12")
    screen.table(ROWS)
    shown = terminal.getvalue()
    assert "Training" in shown and "step 12" in shown and "\x1b[2K" in shown
    assert "brain" in shown.rpartition("\x1b[2K")[2]


def test_work_without_an_end_shows_no_share(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    with Screen().bar("Training") as bar:
        now[0] += 6
        bar.update(None, "step 6")
    assert capsys.readouterr().out == "Training  step 6\n"
    screen, terminal = Screen(), io.StringIO()
    screen._console = Console(file=terminal, force_terminal=True, width=80)
    with screen.bar("Training") as bar:
        for fraction, text in ((0.5, "preparing scan 2"), (None, "step 1"), (None, "step 2")):
            bar.update(fraction, text)
    assert "step 2" in terminal.getvalue() and "%" not in terminal.getvalue()


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_the_first_interruption_saves_the_second_ends_at_once(name, capsys):
    asked, before = [], [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    with stop_on_interrupt(SimpleNamespace(stop=lambda: asked.append(None)), Screen()):
        signal.raise_signal(name)
        assert len(asked) == 1 and "Stopping after this step" in capsys.readouterr().out
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_result_that_could_not_be_written_is_refused_before_the_work(tmp_path):
    there = tmp_path / "result.json"
    there.write_text("before")
    require_writable_json(None)
    require_writable_json(there)
    require_writable_json(tmp_path / "new.json")
    assert there.read_text() == "before" and list(tmp_path.iterdir()) == [there]
    with pytest.raises(VolumeError):
        require_writable_json(there / "result.json")


def test_a_result_holds_nothing_that_json_does_not_know(tmp_path):
    write_json(None, {"dice": float("nan")})
    write_json(tmp_path / "r.json", {"name": "Vorhof größer"})
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8")) == {"name": "Vorhof größer"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "r.json", {"dice": float("nan")})
    assert "größer" in (tmp_path / "r.json").read_text(encoding="utf-8")


def test_durations_and_numbers_are_written_as_people_do():
    assert [clock(seconds) for seconds in (0, 59.6, 61, 3599.4, 3600)] == [
        *("0:00", "1:00", "1:01", "59:59", "1:00:00"),
    ]
    assert [count(number, "scan") for number in (0, 1, 2)] == ["0 scans", "1 scan", "2 scans"]


@pytest.mark.parametrize(("text", "limit"), [("3", 3), ("", None), ("0", None), ("4,2", None), ("-1", None)])
def test_as_many_threads_as_the_environment_allows(monkeypatch, text, limit):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert thread_limit() == limit
