"""Routes that give to and take from a PACS.

dicomweb.py  a query by reference, and a report stored back
reports.py   structured reports as files
studies.py   the PACS's study list, a series of it as an upload, a report of a mark stored
"""
