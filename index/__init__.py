"""Vectors and lesions in; neighbours and tracks out. Never imports torch.

catalog.py       SQLite, the truth: lesions, vectors, image sources, matches
store.py         VectorStore and FaissStore: a cache that can always be rebuilt
lesion_index.py  LesionIndex = catalog + store
tracking.py      the lesion graph of one patient -> lesion tracks
response.py      diameters over time, RECIST 1.1 response
"""
