"""Files in and out: volumes, masks, geometry, DICOM. Knows nothing of studies, torch or Qt."""
