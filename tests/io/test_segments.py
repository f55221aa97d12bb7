import json

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.errors import VolumeError
from napari_dycon.io.geometry import Geometry
from napari_dycon.io.masks import read_labels
from napari_dycon.io.volumes import read_volume

SCAN = Geometry((12, 10, 8), np.diag([1.0, 1, 2, 1]))
LIVER, TUMOUR = (slice(2, 6), slice(2, 6), 1), (slice(2, 6), slice(2, 6), 3)


def layer(where=None, value=1):
    voxels = np.zeros(SCAN.shape, np.uint8)
    if where is not None:
        voxels[where] = value
    return voxels


def write(path, layers, pairs):
    voxels = np.stack(layers)
    many = len(layers) > 1
    lines = [
        "NRRD0004",
        "type: unsigned char",
        f"dimension: {3 + many}",
        "space: right-anterior-superior",
        f"sizes: {f'{len(layers)} ' if many else ''}12 10 8",
        f"space directions: {'none ' if many else ''}(1,0,0) (0,1,0) (0,0,2)",
        f"kinds: {'list ' if many else ''}domain domain domain",
        "encoding: raw",
        "space origin: (0,0,0)",
        *(f"{key}:={value}" for key, value in pairs.items()),
    ]
    path.write_bytes("\n".join(lines).encode() + b"\n\n" + voxels.tobytes(order="F"))
    return path


def escaped(text):
    """As NRRD stores the value of a key."""
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def mitk(*groups):
    content = [{"labels": [{"name": n, "value": v, "locked": True} for n, v in group]} for group in groups]
    return {
        "modality": "org.mitk.multilabel.segmentation",
        "org.mitk.multilabel.segmentation.labelgroups": escaped(json.dumps(content)),
        "org.mitk.multilabel.segmentation.version": "1",
    }


def old_mitk(*groups):
    pairs = {"modality": "org.mitk.image.multilabel", "layers": len(groups)}
    for group, labels in enumerate(groups):
        pairs[f"layer_{group:03d}"] = len(labels) + 1
        for index, (name, value) in enumerate([("Exterior", 0), *labels]):
            xml = (
                f'<Label><property key="name" type="StringProperty"><string value="{name}"/></property>\n'
                f'<property key="value" type="UShortProperty"><unsigned value="{value}"/></property></Label>'
            )
            pairs[f"org.mitk.label_{group:03d}_{index:05d}"] = escaped(xml)
    return pairs


def slicer(*segments):
    """Segments as (name, value, layer)."""
    pairs = {"Segmentation_ReferenceImageExtentOffset": "0 0 0"}
    for number, (name, value, at) in enumerate(segments):
        stated = {"ID": f"S{number}", "Name": name, "LabelValue": value, "Layer": at}
        pairs |= {f"Segment{number}_{key}": text for key, text in stated.items() if text is not None}
    return pairs


@pytest.mark.parametrize("write_names", [mitk, old_mitk])
@pytest.mark.parametrize("name", ["p.nrrd", "P_LABEL.NRRD"])
def test_names_that_mitk_gives_are_those_of_the_values(tmp_path, name, write_names):
    voxels = layer(LIVER, 1) + layer(TUMOUR, 2)
    path = write(tmp_path / name, [voxels], write_names([("tumour", 1), ("liver", 2)]))
    found = read_labels(path, SCAN)
    assert dict(found.names) == {1: "tumour", 2: "liver"} and np.array_equal(found.array, voxels)


def test_a_name_of_mitk_may_hold_what_json_and_nrrd_escape(tmp_path):
    path = write(tmp_path / "p.nrrd", [layer(LIVER)], mitk([('a "left" \\ lobe\u00e4', 1)]))
    assert dict(read_labels(path, SCAN).names) == {1: 'a "left" \\ lobe\u00e4'}


@pytest.mark.parametrize(
    "groups", ["", "{", "3", '"x"', "[3]", '[{"labels": [{"name": "a"}]}]', '[{"labels": 5}]', "[" * 5000]
)
def test_names_of_mitk_that_cannot_be_read_are_not_guessed(tmp_path, groups):
    pairs = {"org.mitk.multilabel.segmentation.labelgroups": groups}
    with pytest.raises(VolumeError, match="names of its labels cannot be read"):
        read_labels(write(tmp_path / "p.nrrd", [layer(LIVER)], pairs), SCAN)


def test_an_image_of_mitk_is_no_segmentation(tmp_path):
    path = write(tmp_path / "p.nrrd", [layer(LIVER)] * 3, {"org.mitk.timegeometry.type": "Proportional"})
    with pytest.raises(VolumeError, match="3 values per voxel"):
        read_labels(path, SCAN)


LAYERED = {
    "Slicer": slicer(("liver", 1, 0), ("tumour", 1, 1)),
    "old Slicer": slicer(("liver", None, None), ("tumour", None, None)),
    "MITK": mitk([("liver", 1)], [("tumour", 1)]),
    "old MITK": old_mitk([("liver", 1)], [("tumour", 1)]),
}


@pytest.mark.parametrize("pairs", LAYERED.values(), ids=LAYERED)
def test_layers_become_one_label_map_where_no_segments_overlap(tmp_path, pairs):
    found = read_labels(write(tmp_path / "p.seg.nrrd", [layer(LIVER), layer(TUMOUR)], pairs), SCAN)
    of = {name: value for value, name in found.names.items()}
    expected = layer(LIVER, of["liver"]) + layer(TUMOUR, of["tumour"])
    assert of.keys() == {"liver", "tumour"} and np.array_equal(found.array, expected)


@pytest.mark.parametrize("pairs", LAYERED.values(), ids=LAYERED)
def test_segments_that_overlap_are_refused_by_their_names(tmp_path, pairs):
    both = layer(LIVER)
    both[2:6, 2:6, 1] = 0
    both[5:9, 2:6, 1] = 1
    path = write(tmp_path / "p.seg.nrrd", [layer(LIVER), both], pairs)
    with pytest.raises(VolumeError, match="'liver' and 'tumour' overlap in 4 voxels"):
        read_labels(path, SCAN)


@pytest.mark.parametrize("pairs", LAYERED.values(), ids=LAYERED)
def test_a_segment_inside_another_one_stays_and_is_told(tmp_path, pairs):
    inner = np.zeros_like(layer(LIVER))
    inner[tuple(np.argwhere(layer(LIVER))[0])] = 1
    found = read_labels(write(tmp_path / "p.seg.nrrd", [layer(LIVER), inner], pairs), SCAN)
    of = {name: value for value, name in found.names.items()}
    assert np.array_equal(found.array == of["tumour"], inner > 0)
    assert np.array_equal(found.array > 0, layer(LIVER) > 0)
    assert "'tumour' lies inside 'liver'" in found.notes[-1]


@pytest.mark.parametrize("pairs", LAYERED.values(), ids=LAYERED)
def test_segments_of_the_same_voxels_are_refused(tmp_path, pairs):
    path = write(tmp_path / "p.seg.nrrd", [layer(LIVER), layer(LIVER)], pairs)
    with pytest.raises(VolumeError, match="'liver' and 'tumour' overlap"):
        read_labels(path, SCAN)


@pytest.mark.parametrize("pairs", LAYERED.values(), ids=LAYERED)
def test_layers_of_segments_are_no_colour_image_when_taken_for_a_scan(tmp_path, pairs):
    path = write(tmp_path / "p.nrrd", [layer(LIVER), layer(TUMOUR)], pairs)
    with pytest.raises(VolumeError, match="a segmentation with 2 layers"):
        read_volume(path)


@pytest.mark.parametrize(
    ("layers", "pairs", "reason"),
    [
        ([layer(LIVER, 2), layer(TUMOUR)], LAYERED["Slicer"], "value 2 in its layer 1"),
        ([layer(LIVER), layer(TUMOUR, 7)], LAYERED["MITK"], "value 7 in its layer 2"),
        ([layer(LIVER)] * 3, LAYERED["old Slicer"], "lists 2 segments and holds 3"),
        ([layer(LIVER), layer(TUMOUR)], slicer(("", 1, 0), ("tumour", 1, 1)), "value 1 in its layer 1"),
        ([layer(LIVER)], LAYERED["MITK"], "holds one layer"),
    ],
)
def test_a_value_whose_name_would_be_guessed_is_refused(tmp_path, layers, pairs, reason):
    with pytest.raises(VolumeError, match=reason):
        read_labels(write(tmp_path / "p.seg.nrrd", layers, pairs), SCAN)


def test_a_file_that_says_it_holds_labels_is_noted_when_taken_for_a_scan(tmp_path):
    path = write(tmp_path / "p.nrrd", [layer(LIVER)], mitk([("liver", 1)]))
    assert any("it holds labels" in note for note in read_volume(path).notes)
    image = nib.Nifti1Image(layer(LIVER), np.eye(4))
    for intent, count in (("label", 1), ("none", 0)):
        image.header.set_intent(intent)
        nib.save(image, tmp_path / "p.nii")
        assert sum("it holds labels" in note for note in read_volume(tmp_path / "p.nii").notes) == count
