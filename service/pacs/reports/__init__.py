"""DICOM structured reports (TID 1500): read as marks, written from tracks.

codes.py    the codes of the Standard that both use
stored.py   what readers left in the PACS, of every carrier, judged (retrieval.sources.marks)
writing.py  measured tracks as reports
own.py      which of them without a PACS: a mark on an upload, all that the index has of a patient
tracks.py   which lesions go into one: a query's track, or all that the index has of a patient
"""
