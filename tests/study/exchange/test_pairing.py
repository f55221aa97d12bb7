import pytest

from napari_dycon.study.exchange.pairing import Place, is_named_like_labels, pair

BIDS = ["sub-01/anat/sub-01_T1w", "sub-02/anat/sub-02_T1w"]


def places(*paths, root=""):
    found = []
    for path in paths:
        *folders, stem = path.split("/")
        found.append(Place.of(folders, stem, root.split("/") if root else ()))
    return found


@pytest.mark.parametrize(
    ("scans", "labels"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", "b"], ["a_seg", "b-label"]),
        (["a", "b"], ["mask_a", "b.segmentation"]),
        (["anna/T1", "bert/T1"], ["anna/T1", "bert/T1"]),
        (["anna/T1", "bert/T1"], ["anna_T1", "bert-T1_seg"]),
        (["images/anna/T1", "images/bert/T1"], ["labels/anna/T1", "labels/bert/T1"]),
        (["site/anna/T1", "site/bert/T1"], ["anna/T1", "bert/T1"]),
        (["anna/ct", "bert/ct"], ["anna/seg", "bert/mask"]),
        (["anna/ct", "bert/ct"], ["anna", "bert_seg"]),
        (["heart_01_0000", "heart_02_0000"], ["heart_01", "heart_02"]),
        (["img0001", "img0002"], ["label0001", "label0002"]),
        (["volume-1", "volume-2"], ["segmentation-1", "segmentation-2"]),
        (["B_000_t1", "B_001_t1"], ["B_000_seg", "B_001_seg"]),
        (BIDS, [f"{path}_dseg" for path in BIDS]),
        (BIDS, [f"derivatives/nnunet/{path}_dseg" for path in BIDS]),
        (["Scan", "other"], ["scan", "OTHER"]),
        (["é", "b"], ["e\u0301", "b"]),
    ],
)
def test_each_label_map_finds_its_scan(scans, labels):
    found = pair(places(*scans), places(*labels))
    assert (found.label_of, found.doubtful, found.unused) == ({0: 0, 1: 1}, {}, [])


@pytest.mark.parametrize(
    ("scans", "labels", "doubtful"),
    [
        (["anna/T1", "bert/T1"], ["T1"], {0: [0], 1: [0]}),
        (["a"], ["a", "a_seg"], {0: [0, 1]}),
        (["a"], ["x/a", "y/a"], {0: [0, 1]}),
        (["B_000_t1", "B_000_t2"], ["B_000_seg"], {0: [0], 1: [0]}),
        (["h_0000", "h_0001"], ["h"], {0: [0], 1: [0]}),
        (["p1", "P1"], ["p1"], {0: [0], 1: [0]}),
    ],
)
def test_what_could_mean_several_means_none(scans, labels, doubtful):
    found = pair(places(*scans), places(*labels))
    assert (found.label_of, found.doubtful) == ({}, doubtful)


@pytest.mark.parametrize(
    ("root", "scan", "label", "expected"),
    [
        ("data/im/bert", "T1", "anna/T1", "doubtful"),
        ("data/im/anna", "T1", "anna/T1", "paired"),
        ("data/im", "bert/T1", "anna/T1", "doubtful"),
        ("data/im", "anna/T1", "T1", "paired"),
        ("data/im", "p1", "p10", "unused"),
        ("data/im", "p1_seg", "p1", "unused"),
    ],
)
def test_a_folder_that_says_another_patient_is_believed(root, scan, label, expected):
    found = pair(places(scan, root=root), places(label, root="data/lb"))
    assert found.label_of == ({0: 0} if expected == "paired" else {})
    assert found.doubtful == ({0: [0]} if expected == "doubtful" else {})
    assert found.unused == ([0] if expected == "unused" else [])


def test_no_label_map_is_used_twice():
    scans = places("anna/T1", "bert/T1", "T1", "x/T1")
    found = pair(scans, places("anna/T1", "T1"))
    assert len(set(found.label_of.values())) == len(found.label_of)
    assert found.label_of == {0: 0, 2: 1}


@pytest.mark.parametrize("strict", [True, False])
def test_strictly_only_the_same_place_counts(strict):
    found = pair(places("B_000_t1"), places("B_000_seg"), strict=strict)
    assert found.label_of == ({} if strict else {0: 0})


@pytest.mark.parametrize(
    "stem",
    ["a_seg", "a-label", "mask_x", "x_dseg", "p-lesion", "p_pred", "SEGMENTATION", "x_seg_final", "gt1"],
)
def test_names_of_label_maps(stem):
    assert is_named_like_labels(stem)


@pytest.mark.parametrize("stem", ["a", "masked-man", "labelled_by_anna", "T1", "segovia_01", "lesion2x"])
def test_names_of_scans(stem):
    assert not is_named_like_labels(stem)
