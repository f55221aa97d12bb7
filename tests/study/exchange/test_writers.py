"""Formats other than NIfTI and DICOM, read by other programs than the one that wrote them."""

import csv

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from napari_dycon.io.masks import read_labels
from napari_dycon.io.volumes import read_geometry
from napari_dycon.study.exchange import exporting, importing
from napari_dycon.study.exchange.exporting import ExportRequest, existing, export_all
from napari_dycon.study.store.schema import Structure, Whole
from napari_dycon.study.store.wholes import add_wholes
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation

STRUCTURES = [
    Structure(value=2, name="left atrium", color="#ff8000"),
    Structure(value=5, name='Müller\\s "scar": ü := x\\n', color="#0000ff"),
    Structure(value=9, name="not there"),
]


@pytest.fixture
def study(tmp_path):
    with Study.create(tmp_path / "study", STRUCTURES) as made:
        yield made


@pytest.fixture
def mask(study, oblique_scan):
    case = importing.add_scan(study, oblique_scan)
    array = np.random.default_rng(1).choice(np.array([0, 2, 5], np.uint8), case.shape)
    array[:3] = array[:, -2:] = 0
    study.save_annotation(case.id, Annotation.full(array), "complete")
    return array


def written(study, tmp_path, form):
    end = export_all(study, ExportRequest(tmp_path / "out", form=form))
    assert not end.problems, end.problems
    return [path for path, _ in end.masks]


@pytest.mark.parametrize(
    ("form", "suffix"), [("nrrd", ".nrrd"), ("metaimage", ".mha"), ("slicer", ".seg.nrrd")]
)
def test_itk_and_our_own_reader_find_the_mask_where_its_scan_lies(
    study, mask, oblique_scan, tmp_path, form, suffix
):
    (path,) = written(study, tmp_path, form)
    assert path.name == f"oblique{suffix}"
    np.testing.assert_array_equal(read_labels(path, read_geometry(oblique_scan)).array, mask)
    image, scan = sitk.ReadImage(str(path)), sitk.ReadImage(str(oblique_scan))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image).T, mask)
    assert image.GetPixelID() == sitk.sitkUInt8
    for get in (sitk.Image.GetOrigin, sitk.Image.GetSpacing, sitk.Image.GetDirection):
        np.testing.assert_allclose(get(image), get(scan), atol=1e-5)


def test_a_segmentation_of_slicer_names_and_colours_its_values(study, mask, oblique_scan, tmp_path):
    (path,) = written(study, tmp_path, "slicer")
    names = read_labels(path, read_geometry(oblique_scan)).names
    assert names == {item.value: item.name for item in STRUCTURES}
    image = sitk.ReadImage(str(path))
    said = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    assert said["Segment0_Color"] == "1.000000 0.501961 0.000000"
    assert [said[f"Segment{number}_LabelValue"] for number in range(3)] == ["2", "5", "9"]
    x, y, z = np.nonzero(mask == 2)
    extent = [x.min(), x.max(), y.min(), y.max(), z.min(), z.max()]
    assert said["Segment0_Extent"] == " ".join(map(str, extent))
    assert said["Segment2_Extent"] == "0 -1 0 -1 0 -1"
    assert said["Segmentation_SourceRepresentation"] == "Binary labelmap"


def test_a_segmentation_of_slicer_comes_back_by_its_names(study, mask, oblique_scan, tmp_path):
    (path,) = written(study, tmp_path, "slicer")
    with Study.create(tmp_path / "other", []) as other:
        case = importing.add_scan(other, oblique_scan, path)
        back = other.annotation(case.id).labels
        by_name = {item.name: item.value for item in other.structures}
    for item in STRUCTURES[:2]:
        np.testing.assert_array_equal(back == by_name[item.name], mask == item.value)


def test_a_whole_has_a_file_of_its_own_beside_its_parts(study, mask, oblique_scan, tmp_path):
    add_wholes(study, [Whole(name="heart", parts=(2, 5))])
    path = written(study, tmp_path, "nifti-per-structure")[-1]
    assert path.name == "oblique_heart.nii.gz"
    found = sitk.GetArrayFromImage(sitk.ReadImage(str(path))).T
    np.testing.assert_array_equal(found, (mask == 2) | (mask == 5))
    table = (tmp_path / "out" / "volumes.csv").read_text(encoding="utf-8-sig")
    rows = csv.DictReader(table.splitlines())
    voxels = {row["structure"]: int(row["voxels"]) for row in rows}
    assert voxels["heart"] == np.isin(mask, (2, 5)).sum() > 0


def test_each_structure_has_a_file_of_its_own(study, mask, oblique_scan, tmp_path):
    paths = written(study, tmp_path, "nifti-per-structure")
    assert [path.name for path in paths] == [
        "oblique_left atrium.nii.gz",
        "oblique_Müller_s _scar__ ü _= x_n.nii.gz",
        "oblique_not there.nii.gz",
    ]
    for path, structure in zip(paths, STRUCTURES, strict=True):
        image = nib.load(path)
        np.testing.assert_array_equal(np.asarray(image.dataobj), mask == structure.value)
        np.testing.assert_array_equal(image.affine, nib.load(oblique_scan).affine)
    table = (tmp_path / "out" / "volumes.csv").read_text(encoding="utf-8")
    assert all(path.name.split("_")[1] in table for path in paths)
    request = ExportRequest(tmp_path / "out", form="nifti-per-structure")
    assert {path.name for path in existing(study, request)} == {*(path.name for path in paths), "volumes.csv"}


def test_of_a_case_all_files_are_there_or_none(study, mask, tmp_path, monkeypatch):
    form = exporting.formats.get("nifti-per-structure")

    def fail(mask, scan, structures, out):
        if structures[0].value == 9:
            raise OSError("the disk was pulled out")
        form.write(mask, scan, structures, out)

    broken = exporting.Format(form.suffix, fail, apart=True)
    monkeypatch.setattr(exporting.formats, "get", lambda name: broken)
    end = export_all(study, ExportRequest(tmp_path / "out", form="nifti-per-structure"))
    assert "pulled out" in end.problems[0][1] and end.masks == ()
    assert not list((tmp_path / "out").iterdir())


def test_files_of_before_stay_where_one_of_the_new_ones_fails(study, mask, tmp_path, monkeypatch):
    form = exporting.formats.get("nifti-per-structure")
    before = {path: path.read_bytes() for path in written(study, tmp_path, "nifti-per-structure")}
    assert len(before) == 3

    def fail(mask, scan, structures, out):
        if structures[0].value == 9:
            raise OSError("the disk was pulled out")
        form.write(mask * 0, scan, structures, out)

    broken = exporting.Format(form.suffix, fail, apart=True)
    monkeypatch.setattr(exporting.formats, "get", lambda name: broken)
    end = export_all(study, ExportRequest(tmp_path / "out", form="nifti-per-structure", overwrite=True))
    assert "pulled out" in end.problems[0][1]
    assert {path: path.read_bytes() for path in before} == before
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*(p.name for p in before), "volumes.csv"}


@pytest.mark.parametrize("form", ["stl", "ply"])
def test_structures_that_occur_have_a_surface_and_one_of_before_goes(study, mask, tmp_path, form):
    stale = tmp_path / "out" / f"oblique_not there.{form}"
    stale.parent.mkdir()
    stale.write_bytes(b"of an earlier export")
    end = export_all(study, ExportRequest(tmp_path / "out", form=form, overwrite=True))
    assert not end.problems and end.summary.startswith("2 surfaces (2 annotations)")
    assert [path.suffix for path, _ in end.masks] == [f".{form}"] * 2 and not stale.exists()
    rows = (tmp_path / "out" / "volumes.csv").read_text(encoding="utf-8").splitlines()
    assert f"oblique_left atrium.{form}" in rows[1] and rows[3].split(",")[1] == ""


@pytest.mark.parametrize("form", ["slicer", "nifti-per-structure"])
def test_a_value_without_a_name_is_not_left_out_in_silence(study, oblique_scan, tmp_path, form):
    case = importing.add_scan(study, oblique_scan)
    study.save_annotation(case.id, Annotation.full(np.full(case.shape, 7, np.uint8)), "complete")
    end = export_all(study, ExportRequest(tmp_path / "out", form=form))
    assert "label value 7, which no structure has" in end.problems[0][1]


@pytest.mark.parametrize("form", ["nrrd", "metaimage", "slicer"])
def test_a_sheared_grid_is_stated_or_refused(study, tmp_path, write_nifti, form):
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    affine[0, 2] = 0.4
    scan = write_nifti(tmp_path / "sheared.nii.gz", np.arange(960, dtype=np.int16).reshape(12, 10, 8), affine)
    case = importing.add_scan(study, scan)
    study.save_annotation(case.id, Annotation.full(np.full(case.shape, 2, np.uint8)), "complete")
    end = export_all(study, ExportRequest(tmp_path / "out", form=form))
    if end.problems:
        assert "sheared" in end.problems[0][1] and not list((tmp_path / "out").iterdir())
    else:
        assert read_geometry(end.masks[0][0]).matches(read_geometry(scan))
