"""CT in; boxes, vectors and scores out. Owns torch; knows nothing of FAISS, SQL or HTTP.

lesion.py      the words as frozen types, and the coordinate convention
ct.py          Slab: slices in HU with their geometry; HU windows
patch.py       extract_patch: the one preprocessing path
sources/       where CT comes from: DeepLesion archives, DICOM, NIfTI, phantoms
embedding/     from patches to unit vectors: similarity, sampling, losses, encoder, training
detection/     from slices to candidate boxes
evaluation/    metrics as pure functions, and the published protocols
weights/       the bundled models with their cards
"""
