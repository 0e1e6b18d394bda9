"""Where CT comes from. Each module reads one kind of file and gives Slab in HU.

archive.py            what the rest of the product needs of an archive
deeplesion.py         an archive in DeepLesion's layout; deeplesion_table, _row, _png and _extras
                      read its parts, deeplesion_coding alone knows its 1-based, offset numbers
deeplesion_writer.py  writes that layout, patient by patient
archive_report.py     what is in an archive, and every bad row with its reason
phantom/              seeded phantom patients
importers/            other collections, turned into archives
dicom.py, nifti.py    CT of those formats
query_image.py        any query image, told by its content
"""
