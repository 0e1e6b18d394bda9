"""CT with masks of one's own -> an archive: ``lesion-search import masks IMAGES MASKS --out A``.

importing.py    import_masks: pairs in, archive and one verdict for everything out
found.py        what lies in two folders: CT images (volumes, DICOM series) and masks
numbering.py    the numbers of patients, studies and series, the same at every run
pairing.py      which mask belongs to which image: by reference, by name, by patient folder
placed.py       an image with the place of each of its voxels
labels.py       a mask of any format as one array a label on its image's voxels
segments.py, structures.py   DICOM SEG and RTSTRUCT on the slices of a series
components.py   a label's connected components as lesions: key slice, RECIST mark, box, volume
types.py        ``--types``: labels to lesion types
"""
