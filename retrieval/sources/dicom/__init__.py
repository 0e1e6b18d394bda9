"""CT from DICOM: headers, codestreams and series."""
