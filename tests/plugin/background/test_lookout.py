"""Scans that were moved, replaced or are of no use: said once, marked beside each, found again."""

import shutil
import threading

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.plugin.background import lookout
from napari_dycon.study.exchange import importing
from napari_dycon.study.study import Study


def scan_of(study_path, name):
    return study_path.parent / "scans" / f"{name}.nii.gz"


def moved(path):
    (path.parent.parent / "elsewhere").mkdir(exist_ok=True)
    shutil.move(path, path.parent.parent / "elsewhere" / f"renamed-{path.name}")


def replaced(path):
    shutil.copy(path, path.with_name("kept.nii.gz"))
    image = nib.load(path.with_name("kept.nii.gz"))
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj) + 1, image.affine), path)


def damaged(path):
    path.write_bytes(path.read_bytes()[:200])


@pytest.fixture
def opened_after(make_session, study_path, qtbot):
    """A session that opens the study after something has happened to its scans."""

    def open_after(**happened):
        for name, what in happened.items():
            what(scan_of(study_path, name))
        session = make_session()
        session.open_study(study_path)
        return session

    return open_after


def rows(session):
    return {row.id: row for row in session.cases.list.rows()}


@pytest.mark.parametrize("what", [moved, replaced, damaged])
def test_a_scan_that_is_lost_is_marked_with_its_reason_and_said(opened_after, qtbot, notes, what):
    session = opened_after(beta=what)
    qtbot.waitUntil(lambda: rows(session)["beta"].lost)
    row = rows(session)["beta"]
    assert row.unusable and "beta" in row.problems[0]
    assert not rows(session)["alpha"].unusable
    assert [text for _, text in notes if "1 of 3 scans" in text]


def test_files_are_never_looked_at_by_the_thread_that_draws(opened_after, qtbot, monkeypatch):
    threads = []
    looking = lookout.check_scans
    monkeypatch.setattr(
        lookout, "check_scans", lambda study: threads.append(threading.current_thread()) or looking(study)
    )
    session = opened_after(beta=moved)
    qtbot.waitUntil(lambda: rows(session)["beta"].lost)
    assert threads and threading.main_thread() not in threads


def test_a_scan_of_no_use_that_is_where_it_was_is_marked_but_not_lost(
    make_session, study_path, tmp_path, qtbot, notes
):
    nib.save(nib.Nifti1Image(np.zeros((12, 12, 8), np.int16), np.eye(4)), tmp_path / "same.nii.gz")
    with Study.open(study_path) as study:
        importing.add_scan(study, tmp_path / "same.nii.gz")
    session = make_session()
    session.open_study(study_path)
    qtbot.waitUntil(lambda: rows(session)["same"].unusable)
    assert "same value everywhere" in rows(session)["same"].problems[0]
    assert not rows(session)["same"].lost
    assert not [text for _, text in notes if "not where" in text]


def test_when_no_scan_can_be_trained_on_there_is_a_reason_beside_each(opened_after, qtbot):
    session = opened_after(alpha=moved, beta=replaced, gamma=damaged)
    qtbot.waitUntil(lambda: all(row.unusable for row in rows(session).values()))
    message = next(problem.message for problem in session.study.preflight() if problem.case is None)
    assert "see the reason beside each" in message
    assert all(row.problems for row in rows(session).values())


def test_moved_scans_are_found_again_and_nothing_else_is_added(opened_after, qtbot, study_path):
    session = opened_after(alpha=moved, beta=moved)
    said = []
    session.dialogue.message.connect(lambda level, text: said.append((level, text)))
    qtbot.waitUntil(lambda: rows(session)["beta"].lost)
    elsewhere = study_path.parent / "elsewhere"
    other = np.random.default_rng(9).normal(0, 9, (20, 24, 10)).astype(np.float32)
    nib.save(nib.Nifti1Image(other, np.eye(4)), elsewhere / "another.nii.gz")
    (elsewhere / "broken.nii.gz").write_bytes(b"no scan")
    session.exchange.find_scans(elsewhere)
    qtbot.waitUntil(lambda: not any(row.unusable for row in rows(session).values()), timeout=15_000)
    assert list(rows(session)) == ["alpha", "beta", "gamma"]
    assert ("info", "2 scans were found again.") in said
    qtbot.waitUntil(lambda: session.cases.case_id == "alpha", timeout=15_000)
    assert session.study.scan_path("beta") == elsewhere / "renamed-beta.nii.gz"


def test_what_is_not_found_is_named(opened_after, qtbot, study_path, notes):
    session = opened_after(alpha=moved, beta=damaged)
    qtbot.waitUntil(lambda: rows(session)["beta"].lost)
    session.exchange.find_scans(study_path.parent / "elsewhere")
    qtbot.waitUntil(lambda: not session.tasks.state.busy, timeout=15_000)
    (sentence,) = [text for _, text in notes if "not found" in text]
    assert "1 scan was found again." in sentence and "beta" in sentence and "alpha" not in sentence


def test_a_search_without_need_says_so(opened, qtbot):
    said = []
    opened.session.dialogue.message.connect(lambda level, text: said.append(text))
    opened.session.exchange.find_scans(opened.study.path.parent)
    opened.wait(lambda: bool(said))
    assert "No scan is missing" in said[-1]
