"""DICOM structured reports (TID 1500): read as marks, written from tracks.

codes.py    the codes of the Standard that both use
marks.py    every lesion of a report that lies on an image of its evidence
writing.py  measured tracks as reports
tracks.py   which lesions go into one: a query's track, or all that the index has of a patient
"""
