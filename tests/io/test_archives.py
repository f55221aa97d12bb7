import os
import struct
import tempfile
import zipfile

import pytest

from napari_dycon.errors import VolumeError
from napari_dycon.io import archives
from napari_dycon.io.archives import unpack
from tests.dicom_series import SLICES, write_series


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files, empty before and after."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert not list(folder.iterdir())


def pack(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def series(tmp_path):
    return {file.name: file.read_bytes() for file in sorted(write_series(tmp_path / "series").iterdir())}


def test_dicom_is_unpacked_and_gone_afterwards(tmp_path, temporary):
    files = series(tmp_path)
    extra = {"viewer.exe": b"MZ", "__MACOSX/._000.dcm": b"x", ".hidden": b"x", "scan.nii.gz": b"x"}
    archive = pack(tmp_path / "exam.zip", {f"study/{name}": file for name, file in files.items()} | extra)
    with unpack(archive) as contents:
        assert contents.folder.name == "exam" and contents.left_packed == ("scan.nii.gz",)
        found = {path.name: path.read_bytes() for path in contents.folder.rglob("*") if path.is_file()}
        assert found == files and len(files) == SLICES
        assert os.stat(contents.folder.parent).st_mode & 0o077 == 0 or os.name == "nt"
        assert contents.folder.is_relative_to(temporary)


def test_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(KeyError), unpack(pack(tmp_path / "exam.zip", series(tmp_path))):
        raise KeyError


@pytest.mark.parametrize(
    "name", ["../out.dcm", "/etc/out.dcm", "a/../../out.dcm", "..\\out.dcm", "C:\\out.dcm"]
)
def test_names_that_lead_out_of_the_archive_are_refused(tmp_path, name):
    archive = pack(tmp_path / "exam.zip", {"good.dcm": b"x", name: b"x"})
    with pytest.raises(VolumeError, match="outside of itself"), unpack(archive):
        pass
    assert not list(tmp_path.rglob("out.dcm")) and not list(tmp_path.rglob("*good*"))


def test_names_that_a_file_system_refuses_or_takes_for_one_are_kept_apart(tmp_path):
    names = {"a/im:1.dcm": b"1", "a/IM_1.dcm": b"2", "a/im_1.dcm": b"3"}
    with unpack(pack(tmp_path / "exam.zip", names)) as contents:
        found = [path.read_bytes() for path in contents.folder.rglob("*.dcm")]
    assert sorted(found) == [b"1", b"2", b"3"]


def damaged(path):
    content = bytearray(path.read_bytes())
    content[40:60] = bytes(20)
    path.write_bytes(content)


def shortened(path):
    path.write_bytes(path.read_bytes()[:-30])


def encrypted(path):
    content = path.read_bytes()
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.index(mark) + place
        content = content[:at] + struct.pack("<H", 1) + content[at + 2 :]
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "sentence"), [(damaged, "damaged"), (shortened, "damaged"), (encrypted, "password")]
)
def test_an_archive_that_cannot_be_unpacked_is_a_sentence(tmp_path, spoil, sentence):
    archive = pack(tmp_path / "exam.zip", {"im.dcm": os.urandom(500)})
    spoil(archive)
    with pytest.raises(VolumeError, match=sentence), unpack(archive):
        pass


def test_an_archive_that_grows_beyond_reason_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "LEAST_SUSPECT_BYTES", 10_000)
    archive = pack(tmp_path / "exam.zip", {"im.dcm": bytes(1_000_000)})
    with pytest.raises(VolumeError, match="as no exam does"), unpack(archive):
        pass


def test_an_archive_that_the_disk_cannot_hold_is_not_unpacked(tmp_path, monkeypatch):
    archive = pack(tmp_path / "exam.zip", {"im.dcm": bytes(1000)})
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 500})())
    with pytest.raises(VolumeError, match="disk"), unpack(archive):
        pass
