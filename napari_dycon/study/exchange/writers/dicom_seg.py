"""Masks as DICOM segmentations, on the very images of their series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from napari_dycon import __version__
from napari_dycon.errors import VolumeError
from napari_dycon.io.dicom_identity import STATED_ALWAYS, DicomIdentity, DicomSlice, identity_of
from napari_dycon.io.dicom_objects import MANUFACTURER, in_silence, labels, save, state_identity
from napari_dycon.io.volumes import read_geometry
from napari_dycon.study.exchange.formats import Format, formats, structures_in
from napari_dycon.study.store.schema import Structure

SERIES_NUMBER = 9001


def write(mask: NDArray[np.uint8], scan: Path, structures: Sequence[Structure], out: Path) -> None:
    """Write one segment a structure that occurs; all of them where the mask is empty.

    Segments are numbered from 1 in the order of the structures. Which part a person drew is not known of each
    voxel here, so all are called semi-automatic.

    Raises
    ------
    VolumeError
        If no identifiers of the series are kept, or the file cannot be written.
    """
    identity = identity_of(scan)
    found = structures_in(mask, structures, out) or structures
    numbers = np.zeros(256, np.uint8)
    numbers[[structure.value for structure in found]] = np.arange(1, len(found) + 1)
    frames = np.ascontiguousarray(numbers[identity.lay(mask, read_geometry(scan))].T)
    images = {_instance(item): item for item in identity.slices}
    with in_silence(out):
        segmentation = _segmentation(identity, images, frames, found)
        state_identity(segmentation, identity)
        if not np.array_equal(_numbers_in(segmentation, list(images), frames.shape), frames):
            raise VolumeError(f"{out.name} was not written: its voxels are not those of the mask.")
        _refer_to_frames(segmentation, images)
    save(segmentation, out)


def _instance(item: DicomSlice) -> str:
    """Identifier of an image; a frame is an image of its own, until it is referred to as what it is."""
    return item.instance if item.frame is None else str(generate_uid())


def _segmentation(
    identity: DicomIdentity,
    images: Mapping[str, DicomSlice],
    frames: NDArray[np.uint8],
    found: Sequence[Structure],
) -> Any:
    from highdicom.seg import Segmentation

    return Segmentation(
        source_images=[_source(identity, instance, item) for instance, item in images.items()],
        pixel_array=frames,
        segmentation_type="BINARY",
        segment_descriptions=_descriptions(found),
        series_instance_uid=generate_uid(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MANUFACTURER,
        software_versions=__version__,
        device_serial_number="0",
        omit_empty_frames=bool(frames.any()),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        content_description="Segmentation",
        series_description="Segmentation",
    )


def _descriptions(found: Sequence[Structure]) -> list[Any]:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import codes

    algorithm = AlgorithmIdentificationSequence(
        name=MANUFACTURER, version=__version__, family=codes.DCM.ArtificialIntelligence
    )
    return [
        SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=codes.SCT.Tissue,
            algorithm_type="SEMIAUTOMATIC",
            algorithm_identification=algorithm,
            tracking_uid=generate_uid(),
            tracking_id=label,
            display_color=CIELabColor.from_rgb(*bytes.fromhex(structure.color[1:])),
        )
        for number, (structure, label) in enumerate(
            zip(found, labels([structure.name for structure in found]), strict=True), start=1
        )
    ]


def _source(identity: DicomIdentity, instance: str, item: DicomSlice) -> Dataset:
    """One image of the series as far as a segmentation refers to it; the patient is stated afterwards."""
    from pydicom.valuerep import DSfloat

    image = Dataset()
    for keyword in STATED_ALWAYS:
        setattr(image, keyword, "")
    image.StudyInstanceUID = identity.patient_and_study["StudyInstanceUID"]
    image.SeriesInstanceUID, image.Modality = identity.series, identity.modality
    image.FrameOfReferenceUID = identity.frame_of_reference
    image.PositionReferenceIndicator = identity.position_reference
    image.SOPClassUID = item.sop_class if item.frame is None else MRImageStorage
    image.SOPInstanceUID = instance
    image.Rows, image.Columns = identity.rows, identity.columns
    image.PixelSpacing = [DSfloat(value, auto_format=True) for value in identity.pixel_spacing]
    image.ImageOrientationPatient = [DSfloat(value, auto_format=True) for value in identity.orientation]
    image.ImagePositionPatient = [DSfloat(value, auto_format=True) for value in item.position]
    image.SliceThickness = image.SpacingBetweenSlices = DSfloat(identity.slice_spacing, auto_format=True)
    return image


def _numbers_in(segmentation: Any, instances: Sequence[str], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Segment numbers (slice, row, column) as another program reads them."""
    index = {instance: number for number, instance in enumerate(instances)}
    found = np.zeros(shape, np.uint8)
    pixels = np.atleast_3d(segmentation.pixel_array).reshape(-1, *shape[1:])
    for frame, groups in zip(pixels, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        source = groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        segment = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        found[index[source]][frame > 0] = segment
    return found


def _refer_to_frames(segmentation: Any, images: Mapping[str, DicomSlice]) -> None:
    """Refer to frames of an enhanced object by its identifier and their numbers, and to the object once."""
    if all(item.frame is None for item in images.values()):
        return
    groups = segmentation.PerFrameFunctionalGroupsSequence
    sources = (one for group in groups for one in group.DerivationImageSequence[0].SourceImageSequence)
    for source in {id(one): one for one in sources}.values():  # segments share those of their slice
        item = images[source.ReferencedSOPInstanceUID]
        source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = item.sop_class, item.instance
        source.ReferencedFrameNumber = item.frame
    for series in segmentation.ReferencedSeriesSequence:
        references = {}
        for one in series.ReferencedInstanceSequence:
            item = images[one.ReferencedSOPInstanceUID]
            one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = item.sop_class, item.instance
            references[item.instance] = one
        series.ReferencedInstanceSequence = list(references.values())


formats.add("dicom-seg", Format(".seg.dcm", write, identifies=True, needs="highdicom"))
