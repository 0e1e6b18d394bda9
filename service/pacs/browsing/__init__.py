"""A PACS looked through by a person.

studies.py  the list of studies, a study's CT series, a whole series as an image that is held
"""
