"""DICOM CT without its patients."""
