"""What the volumes of 4D files are is asked once for all of an import, before anything is written."""

import nibabel as nib
import numpy as np
import pytest


def write(folder, name, volumes):
    folder.mkdir(exist_ok=True)
    shape = (9, 8, 7, volumes) if volumes > 1 else (9, 8, 7)
    values = np.random.default_rng(len(name) + volumes).normal(100, 20, shape).astype(np.float32)
    path = folder / name
    nib.save(nib.Nifti1Image(values, np.diag([1.0, 1.0, 2.0, 1.0])), path)
    return path


@pytest.fixture
def asked(opened):
    found = []
    opened.rest()
    opened.session.exchange.scans_listed.connect(found.append)
    yield found
    opened.session.exchange.scans_listed.disconnect(found.append)


def add(opened, *paths):
    opened.session.exchange.add_scans(paths)
    opened.rest()


def fresh(opened):
    return [case.name for case in opened.study.cases][3:]


def test_nothing_is_written_before_the_answer_and_time_points_are_cases_of_a_patient(opened, asked, tmp_path):
    folder = tmp_path / "new"
    write(folder, "cine.nii.gz", 3), write(folder, "heart.nii.gz", 2), write(folder, "plain.nii.gz", 1)
    add(opened, folder)
    (listed,) = asked
    assert listed.volumes == {"cine.nii.gz": 3, "heart.nii.gz": 2}
    assert fresh(opened) == [] and not [*(opened.study.path / "scans").glob("*")]
    opened.session.exchange.add_listed(listed.with_volumes("cases"))
    opened.rest()
    assert fresh(opened) == ["cine_t01", "cine_t02", "cine_t03", "heart_t01", "heart_t02", "plain"]
    patients = [case.patient for case in opened.study.cases][3:]
    assert patients[0] == patients[2] != patients[3] == patients[4]
    assert len(asked) == 1


def test_a_single_file_is_asked_about_and_its_volumes_are_images_of_one_case(opened, asked, tmp_path):
    path = write(tmp_path / "new", "mri.nii.gz", 2)
    add(opened, path)
    opened.session.exchange.add_listed(asked[0].with_volumes("channels"))
    opened.rest()
    assert fresh(opened) == ["mri"]
    assert [*opened.study.cases[-1].images] == ["volume 2"]


def test_what_is_left_out_is_no_fault_and_the_others_come_in(opened, asked, tmp_path, notes):
    folder = tmp_path / "new"
    write(folder, "cine.nii.gz", 3), write(folder, "plain.nii.gz", 1)
    reports = []
    opened.session.exchange.reported.connect(reports.append)
    add(opened, folder)
    opened.session.exchange.add_listed(asked[0].with_volumes("out"))
    opened.rest()
    assert fresh(opened) == ["plain"] and reports == []
    opened.session.exchange.reported.disconnect(reports.append)
