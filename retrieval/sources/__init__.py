"""Where CT comes from: every reader gives Slab in HU on the display grid.

archive.py      what the rest of the product needs of an archive, whatever its layout
errors.py       what can go wrong with an archive
folder_lock.py  one run at a time in a folder
lesion_table.py the lesions of archives as arrays
deeplesion/     DeepLesion's layout: read, checked, written; ``coding`` knows its numbers
dicom/          CT from DICOM: headers, codestreams, series
importers/      other collections, turned into archives
query_image.py  any query image, told by its content
"""
