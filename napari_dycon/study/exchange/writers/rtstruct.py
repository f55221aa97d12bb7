"""Masks as RT structure sets: closed contours along the pixels' edges in each image of the series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ImplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from napari_dycon import __version__
from napari_dycon.io.dicom_identity import DicomIdentity, DicomSlice, identity_of
from napari_dycon.io.dicom_objects import MANUFACTURER, in_silence, labels, save, state_identity
from napari_dycon.io.polygons import outline
from napari_dycon.io.volumes import read_geometry
from napari_dycon.study.exchange.formats import Format, formats, structures_in
from napari_dycon.study.store.schema import Structure

SERIES_NUMBER = 9002
DETACHED_STUDY = UID("1.2.840.10008.3.1.2.3.1")
"""Class of the study that a structure set refers to; retired, and still what planning systems look for."""


def write(mask: NDArray[np.uint8], scan: Path, structures: Sequence[Structure], out: Path) -> None:
    """Write one region of interest a structure that occurs, with its label value as number.

    Raises
    ------
    VolumeError
        If no identifiers of the series are kept, or the file cannot be written.
    """
    identity = identity_of(scan)
    found = structures_in(mask, structures, out) or structures
    laid = identity.lay(mask, read_geometry(scan))
    with in_silence(out):
        dataset = _structure_set(identity)
        names = labels([structure.name for structure in found])
        dataset.StructureSetROISequence = [
            _roi(structure, name, identity) for structure, name in zip(found, names, strict=True)
        ]
        dataset.ROIContourSequence = [_contours(structure, laid, identity) for structure in found]
        dataset.RTROIObservationsSequence = [_observation(structure) for structure in found]
    save(dataset, out)


def _structure_set(identity: DicomIdentity) -> FileDataset:
    meta = FileMetaDataset()
    # the length of a contour is not limited there, as it is where each value states its type
    meta.TransferSyntaxUID = ImplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = RTStructureSetStorage, generate_uid()
    dataset, now = FileDataset("", {}, file_meta=meta, preamble=bytes(128)), datetime.now()
    dataset.SOPClassUID, dataset.SOPInstanceUID = RTStructureSetStorage, meta.MediaStorageSOPInstanceUID
    dataset.Modality, dataset.SeriesInstanceUID = "RTSTRUCT", generate_uid()
    dataset.SeriesNumber, dataset.InstanceNumber = SERIES_NUMBER, 1
    dataset.SeriesDescription = "Segmentation"
    dataset.Manufacturer = dataset.ManufacturerModelName = MANUFACTURER
    dataset.SoftwareVersions, dataset.OperatorsName = __version__, ""
    dataset.StructureSetLabel, dataset.ApprovalStatus = MANUFACTURER, "UNAPPROVED"
    dataset.StructureSetDate = dataset.InstanceCreationDate = now.strftime("%Y%m%d")
    dataset.StructureSetTime = dataset.InstanceCreationTime = now.strftime("%H%M%S")
    state_identity(dataset, identity)
    dataset.ReferencedFrameOfReferenceSequence = [_frame_of_reference(identity)]
    return dataset


def _frame_of_reference(identity: DicomIdentity) -> Dataset:
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = identity.series
    series.ContourImageSequence = [_reference(item) for item in identity.slices]
    study.ReferencedSOPClassUID = DETACHED_STUDY
    study.ReferencedSOPInstanceUID = identity.patient_and_study["StudyInstanceUID"]
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID = identity.frame_of_reference
    frame.RTReferencedStudySequence = [study]
    return frame


def _reference(item: DicomSlice) -> Dataset:
    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = item.sop_class, item.instance
    if item.frame is not None:
        image.ReferencedFrameNumber = item.frame
    return image


def _roi(structure: Structure, name: str, identity: DicomIdentity) -> Dataset:
    roi = Dataset()
    roi.ROINumber, roi.ROIName = structure.value, name
    roi.ReferencedFrameOfReferenceUID = identity.frame_of_reference
    roi.ROIGenerationAlgorithm = "SEMIAUTOMATIC"
    return roi


def _observation(structure: Structure) -> Dataset:
    observation = Dataset()
    observation.ObservationNumber = observation.ReferencedROINumber = structure.value
    observation.RTROIInterpretedType = observation.ROIInterpreter = ""
    return observation


def _contours(structure: Structure, laid: NDArray[np.uint8], identity: DicomIdentity) -> Dataset:
    roi = Dataset()
    roi.ReferencedROINumber = structure.value
    roi.ROIDisplayColor = list(bytes.fromhex(structure.color[1:]))
    contours = list(_closed_contours(laid == structure.value, identity))
    if contours:
        roi.ContourSequence = contours
    return roi


def _closed_contours(region: NDArray[np.bool_], identity: DicomIdentity) -> Iterator[Dataset]:
    for index in np.flatnonzero(region.any((0, 1))):
        item = identity.slices[index]
        for polygon in outline(region[..., index]):
            contour = Dataset()
            contour.ContourImageSequence = [_reference(item)]
            contour.ContourGeometricType = "CLOSED_PLANAR"
            contour.NumberOfContourPoints = len(polygon)
            contour.ContourData = [f"{value:.4f}" for value in _in_mm(polygon, item, identity).ravel()]
            yield contour


def _in_mm(polygon: NDArray[np.int64], item: DicomSlice, identity: DicomIdentity) -> NDArray[np.float64]:
    """Corners between pixels as LPS mm (n, 3); DICOM PS3.3 equation C.7.6.2.1-1, half a pixel before."""
    axes = np.reshape(identity.orientation, (2, 3)) * np.array(identity.pixel_spacing)[::-1, None]
    return np.asarray((polygon - 0.5) @ axes + np.array(item.position))


formats.add("rtstruct", Format(".rtstruct.dcm", write, identifies=True))
