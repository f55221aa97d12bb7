import pytest

from napari_dycon.errors import StudyError
from napari_dycon.study.exchange.exporting import ExportRequest, export_all
from napari_dycon.study.exchange.formats import formats


def test_nifti_is_there():
    assert formats.get("nifti").suffix == ".nii.gz"


def test_a_format_that_there_is_not_is_refused_before_anything_is_written(study, tmp_path):
    with pytest.raises(
        StudyError, match=r"no export format 'paper'; choose one of dicom-seg, metaimage, nifti"
    ):
        export_all(study, ExportRequest(tmp_path / "out", form="paper"))
    assert not (tmp_path / "out").exists()
