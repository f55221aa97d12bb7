"""Import and export from the window: what happened to every file is told, and nothing is replaced unasked."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.plugin.controllers.exchange import APART
from napari_dycon.plugin.controllers.import_news import ImportNews
from napari_dycon.study.exchange.importing import ImportEvent
from tests.dicom_series import write_series


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, np.eye(4))
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path


def scan(path, seed):
    return save(path, np.random.default_rng(seed).normal(size=(12, 12, 12)).astype(np.float32))


def mask(path):
    array = np.zeros((12, 12, 12), np.uint8)
    array[3:6, 3:6, 3:6] = 1
    return save(path, array)


@pytest.fixture
def heard(opened):
    """What the session wants shown in windows of their own, by signal."""
    found = {"reports": [], "pairs": []}
    take = {name: found[name].append for name in found}
    opened.session.exchange.reported.connect(take["reports"])
    opened.session.exchange.pairs_found.connect(take["pairs"])
    yield found
    opened.session.exchange.reported.disconnect(take["reports"])
    opened.session.exchange.pairs_found.disconnect(take["pairs"])


def status(opened, name):
    return {case.name: case.status for case in opened.study.cases}[name]


def test_every_reason_and_note_is_in_the_report(opened, heard, tmp_path):
    scan(tmp_path / "new" / "good.nii.gz", 1)
    for number in range(8):
        (tmp_path / "new" / f"bad{number}.nii.gz").write_bytes(b"nothing")
    opened.session.exchange.add_scans([tmp_path / "new"])
    opened.rest()
    (report,) = heard["reports"]
    assert report.summary == "1 scan was added."
    assert [name for name, _ in report.rows] == [f"bad{number}.nii.gz" for number in range(8)]


def test_an_import_that_brings_nothing_new_is_no_problem(opened, notes, heard):
    scans = [opened.study.scan_path(name) for name in ("alpha", "beta")]
    opened.session.exchange.add_scans(scans)
    opened.rest()
    assert notes[-1] == ("info", "2 were in the study already.")
    assert heard["reports"] == []


def test_masks_beside_scans_are_asked_about_and_taken_over_as_the_person_says(opened, heard, tmp_path):
    first, second = (scan(tmp_path / "new" / f"B_{name}.nii.gz", n) for n, name in enumerate(("t1", "t2")))
    labels = mask(tmp_path / "new" / "B_seg.nii.gz")
    opened.session.exchange.add_scans([tmp_path / "new"])
    opened.rest()
    opened.session.dialogue.answer(APART)
    opened.rest()
    assert heard["pairs"] == [{first: [labels], second: [labels]}]
    assert status(opened, "B_t1") == status(opened, "B_t2") == "unlabelled"
    opened.session.exchange.add_labels([(second, labels)])
    opened.rest()
    assert (status(opened, "B_t1"), status(opened, "B_t2")) == ("unlabelled", "complete")


def test_series_are_listed_first_and_those_that_are_chosen_added(opened, tmp_path):
    write_series(tmp_path / "disc" / "first")
    write_series(tmp_path / "disc" / "second", SeriesInstanceUID="1.2.8.1", SeriesDescription="T2")
    asked, before = [], len(opened.study.cases)
    opened.session.exchange.scans_listed.connect(asked.append)
    opened.session.exchange.add_scans([tmp_path / "disc"])
    opened.rest()
    (listed,) = asked
    assert [one.name for one in listed.found] == ["first", "second"] and len(opened.study.cases) == before
    assert all(one.picture is not None for one in listed.found)
    opened.session.exchange.add_chosen(listed.paths, {listed.found[1].key})
    opened.rest()
    assert [case.name for case in opened.study.cases][before:] == ["second"]


def test_a_single_series_is_added_without_a_question(opened, tmp_path):
    write_series(tmp_path / "disc" / "first")
    asked = []
    opened.session.exchange.scans_listed.connect(asked.append)
    opened.session.exchange.add_scans([tmp_path / "disc"])
    opened.rest()
    assert asked == [] and "first" in [case.name for case in opened.study.cases]


def test_structures_that_come_with_labels_of_the_open_case_are_in_the_hand(opened, tmp_path):
    session, image = opened.session, scan(tmp_path / "images" / "a.nii.gz", 1)
    session.new_study(tmp_path / "fresh", [])
    session.exchange.add_scans([image])
    opened.wait(lambda: session.cases.case_id is not None)
    opened.rest()
    labels = mask(tmp_path / "labels" / "a.nii.gz")
    save(labels, np.asarray(nib.load(labels).dataobj) * 4)
    session.exchange.add_scans([image], labels.parent)
    opened.rest()
    layer = opened.layer("annotation")
    assert int((layer.data == 4).sum()) == 27
    assert session.structures.active_value == layer.selected_label == 4
    assert list(layer.features["name"]) == [one.name for one in session.structures.all]


def test_labels_for_a_case_that_a_person_has_labelled_are_left_with_a_word(opened, heard, tmp_path):
    session, image = opened.session, opened.study.scan_path("alpha")
    opened.paint((5, 9, 9))
    labels = tmp_path / "labels" / "alpha.nii.gz"
    labels.parent.mkdir()
    nib.save(nib.Nifti1Image(np.ones(nib.load(image).shape, np.uint8), nib.load(image).affine), labels)
    session.exchange.add_scans([image], labels.parent)
    opened.rest()
    ((name, sentence),) = heard["reports"][-1].rows
    assert name == "alpha" and "not taken over" in sentence
    assert not opened.layer("annotation").data.all()


def test_what_is_there_is_replaced_only_after_a_question(opened, tmp_path):
    opened.session.labels.complete_case()
    opened.rest()
    out = tmp_path / "out"
    out.mkdir()
    for name in ("alpha.nii.gz", "volumes.csv"):
        (out / name).write_text("mine")
    opened.session.exchange.export(out)
    opened.rest()
    assert "alpha.nii.gz" in opened.session.dialogue.question.text
    opened.session.dialogue.answer("cancel")
    opened.rest()
    assert {path.read_text() for path in out.iterdir()} == {"mine"}
    opened.session.exchange.export(out)
    opened.session.dialogue.answer("replace")
    opened.rest()
    assert nib.load(out / "alpha.nii.gz").shape == opened.study.case("alpha").shape


def test_an_export_says_where_and_what_and_goes_on_without_a_lost_scan(opened, notes, heard, tmp_path):
    opened.session.labels.complete_case()
    opened.open("beta")
    opened.session.labels.complete_case()
    opened.rest()
    opened.open("alpha")
    opened.study.scan_path("beta").unlink()
    opened.session.exchange.export(tmp_path / "out")
    opened.rest()
    level, text = notes[-1]
    assert level == "warning" and "1 mask (1 annotation)" in text and str(tmp_path / "out") in text
    ((name, sentence),) = heard["reports"][-1].rows
    assert name == "beta" and "not at" in sentence
    assert (tmp_path / "out" / "alpha.nii.gz").exists() and (tmp_path / "out" / "volumes.csv").exists()


def event(outcome, notes=(), problem=None, name="a"):
    return ImportEvent(Path(f"{name}.nii"), None, problem, 1, 1, outcome, notes)


@pytest.mark.parametrize(
    ("outcomes", "summary"),
    [
        (["refused"], "0 scans were added."),
        (["added", "added", "found again"], "2 scans were added. 1 scan was found again at a new place."),
        (["labelled"], "1 got its labels."),
        (["already there", "added"], "1 scan was added. 1 was in the study already."),
    ],
)
def test_how_an_import_went_in_a_sentence(outcomes, summary):
    news = ImportNews()
    for outcome in outcomes:
        news.add(event(outcome))
    assert news.summary == summary


def test_a_note_on_many_scans_is_one_row():
    news = ImportNews()
    for number in range(9):
        news.add(event("added", ("No unit.",), name=f"p{number}"))
    ((names, note),) = news.report.rows
    assert note == "No unit." and names.startswith("p0.nii, p1.nii") and names.endswith("and 4 more")


def test_values_that_are_no_structure_are_asked_about_once_for_all_masks(opened, notes, heard, tmp_path):
    session, asked = opened.session, []
    session.exchange.values_found.connect(asked.append)
    for number in range(2):
        image = scan(tmp_path / "images" / f"m{number}.nii.gz", number)
        labels = mask(tmp_path / "labels" / image.name)
        array = np.asarray(nib.load(labels).dataobj).copy()
        array[0, 0, : 3 + number], array[1, 1, :2] = 6, 7
        save(labels, array)
    session.exchange.add_scans([tmp_path / "images"], tmp_path / "labels")
    opened.rest()
    (foreign,) = asked
    assert [dict(one.voxels) for _, one in foreign] == [{6: 3, 7: 2}, {6: 4, 7: 2}]
    assert heard["reports"] == [] and status(opened, "m0") == "unlabelled"
    session.exchange.explain_labels(foreign, {("", 6): "liver", ("", 7): 0})
    opened.rest()
    assert notes[-1] == ("info", "2 got their labels.")
    assert {one.name: one.value for one in opened.study.structures}["liver"] == 6
    for number in range(2):
        labels = opened.study.annotation(f"m{number}").labels
        assert (int((labels == 6).sum()), int((labels == 7).sum())) == (3 + number, 0)
        assert int((labels == 1).sum()) == 27 and status(opened, f"m{number}") == "complete"
    assert "liver" in [one.name for one in session.structures.all]


def test_masks_that_are_not_explained_leave_their_scans_without_labels(opened, notes):
    opened.session.exchange.leave_labels(3)
    assert notes[-1][1].startswith("3 scans were added without labels")


def test_files_that_differ_by_the_image_alone_are_asked_about(opened, tmp_path):
    session, before = opened.session, len(opened.study.cases)
    for number, name in enumerate(("x_t1", "x_flair", "y_t1")):
        scan(tmp_path / "images" / f"{name}.nii.gz", number)
    mask(tmp_path / "labels" / "x.nii.gz")
    session.exchange.add_scans([tmp_path / "images"], tmp_path / "labels")
    opened.rest()
    question = session.dialogue.question
    assert question.text == "Images of one case? Labels lie on:"
    assert [words for _, words in question.answers] == ["FLAIR", "T1", "Apart", "Cancel"]
    session.dialogue.answer("T1")
    opened.rest()
    found = {case.name: (list(case.images), case.status) for case in opened.study.cases[before:]}
    assert found == {"x": (["FLAIR"], "complete"), "y": ([], "unlabelled")}
    assert opened.study.record.channels == ("T1", "FLAIR")
    scan(tmp_path / "more" / "z_t1.nii.gz", 7)
    scan(tmp_path / "more" / "z_flair.nii.gz", 8)
    session.exchange.add_scans([tmp_path / "more"])
    opened.rest()
    assert session.dialogue.question is None and opened.study.cases[-1].name == "z"


def test_who_calls_off_the_question_adds_nothing_and_each_may_be_a_scan(opened, tmp_path):
    session, before = opened.session, len(opened.study.cases)
    files = [scan(tmp_path / f"x_{name}.nii.gz", n) for n, name in enumerate(("t1", "flair"))]
    for key, added in (("cancel", 0), (APART, 2)):
        session.exchange.add_scans(files)
        opened.rest()
        session.dialogue.answer(key)
        opened.rest()
        assert len(opened.study.cases) == before + added
    assert opened.study.record.channels == ()
