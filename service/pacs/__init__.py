"""A PACS over DICOMweb: queries by reference, follow-ups, structured reports.

settings.py, session.py  which PACS is spoken to, and within what limits
client.py     what a PACS is asked; identity.py whether it brought just that; errors.py
access.py     a service's one way to it: the client, and how many requests may wait
series.py     a series as CT, of which only the needed slices are retrieved
patient.py    one patient's studies under the answers' names
search.py     a query by reference: embedded and answered by the engine
follow_ups.py the patient's lesions: from the index, from reports, or from the detector
proposals.py  the detector's proposals about the query's height in the body
indexing.py   a lesion of the PACS into the index
browsing/     the study list, and a series opened from it
reports/      DICOM structured reports, read and written
"""
