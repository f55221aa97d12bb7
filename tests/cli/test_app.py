"""A fault of the program itself is a line and a report; reports do not pile up."""

import importlib
import os

from napari_dycon.cli import main

application = importlib.import_module("napari_dycon.cli.app")


def test_only_the_newest_reports_of_faults_are_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(application, "reports_folder", lambda: tmp_path / "log")
    for number in range(application.MOST_REPORTS + 2):

        def fail(number=number, **_):
            raise RuntimeError(f"fault {number}")

        monkeypatch.setattr(application, "app", fail)
        assert main([]) == 1
        for path in (tmp_path / "log").iterdir():
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 1))
    assert str(tmp_path / "log") in capsys.readouterr().err
    texts = [path.read_text() for path in (tmp_path / "log").iterdir()]
    assert len(texts) == application.MOST_REPORTS
    assert not any("fault 0" in text or "fault 1" in text for text in texts)
