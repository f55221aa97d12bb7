import numpy as np

from napari_dycon.study.exchange import importing
from napari_dycon.study.truth.annotations import Annotation, Known
from napari_dycon.study.truth.summary import KnownSummary


def test_what_is_known_is_told_by_who_said_it():
    annotation = Annotation.empty((10, 10, 10))
    for index, known in enumerate((Known.DRAWN, Known.ACCEPTED, Known.INTERPOLATED, Known.IGNORE)):
        annotation.known[..., index] = known
    annotation.complete_slice(2, 4)
    annotation.known[0, 0, 9] = Known.DRAWN
    summary = KnownSummary.of(annotation)
    assert summary.person == 0.201
    assert summary.accepted == summary.interpolated == summary.ignored == 0.1
    assert summary.known == annotation.known_fraction
    assert summary.complete_slices == (0, 0, 5)
    assert summary.slices == (10, 10, 10)
    assert summary.sentence() == "50 % known: 20 % by you, 10 % accepted, 10 % interpolated, 10 % do not care"


def test_little_is_not_nothing_and_nearly_all_is_not_all():
    annotation = Annotation.empty((10, 10, 10))
    assert KnownSummary.of(annotation).sentence() == "Nothing is known yet"
    annotation.known[0, 0, 0] = Known.DRAWN
    assert KnownSummary.of(annotation).sentence().startswith("< 1 % known")
    annotation.complete_all()
    annotation.known[0, 0, 0] = Known.UNKNOWN
    assert KnownSummary.of(annotation).sentence().startswith("99 % known")
    assert (
        KnownSummary.of(Annotation.full(np.zeros((2, 2, 2), np.uint8))).sentence()
        == "100 % known: 100 % by you"
    )


def test_a_study_tells_it_from_its_record(study, make_scan, make_labels):
    labelled = importing.add_scan(study, make_scan("a"), make_labels("a"))
    bare = importing.add_scan(study, make_scan("b"))
    annotation = study.annotation(bare.id)
    annotation.accept(np.ones(annotation.shape, np.uint8), (slice(None), slice(None), slice(0, 2)))
    study.save_annotation(bare.id, annotation, "accept")
    assert study.annotation_summary(labelled.id).person == 1
    assert study.annotation_summary(bare.id) == KnownSummary.of(annotation)
    assert study.annotation_summary(bare.id).accepted == 0.25
