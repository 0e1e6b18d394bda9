"""CT in; boxes, vectors, tracks and scores out. Owns torch; knows nothing of FAISS, SQL or HTTP.

lesion.py      the words as frozen types, and the coordinate convention
grid.py        file grid and display grid, and the exact map between them
image.py       Slab: slices in HU with their geometry; display windows
body.py        the body on a slice: its box, its mask, what is inside
patch.py       extract_patch: the one preprocessing path
sources/       where CT comes from: archives, DICOM, volumes, importers
synthesis/     images that this project makes: phantoms, pasted and painted lesions
nn/            what several networks share: backbones, pooling over boxes
embedding/     from patches to unit vectors: similarity, sampling, losses, encoder
detection/     from slices to candidate boxes
multitask/     heads on the detector's maps: tags, mask, diameters, refined score
tracking/      the same lesion over time: lesion graph, matcher, response, fitting
training/      one loop, recipes, checkpoints
evaluation/    metrics as pure functions, the published protocols, one report
weights/       the bundled models with their cards
"""
