"""A PACS over DICOMweb: queries by reference, follow-ups, structured reports."""
