"""Marks that readers left become an archive in DeepLesion's layout, with one verdict each.

header.py         ImageHeader: what must be known of an image before its pixels are read
stores.py         what is kept between runs: headers read once, marks read once
mark_codec.py     marks and refusals as JSON, for the journal
folder.py         FolderSource: images and marks in folders
planes.py         IndexedPlanes: images found for marks
stacks.py         SliceStack: a series' volumes, and sub-volumes of 30 mm about key slices
sub_volume.py     SubVolume: its slices in HU, or by headers alone
duplicates.py     copies over carriers, and versions, are one lesion
proposing.py      a detector's box for words that draw nothing
links.py          tracks as readers linked them
numbers.py        numbers of studies and series, splits
rows.py           kept marks as rows of the table
verdict_line.py   the lines of mined.jsonl, without the patient
tools.py          what mining a patient needs, and what a user chooses
patient.py        PatientMiner: all of one patient; ``service.jobs.mining`` runs it over a source
"""
