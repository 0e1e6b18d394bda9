"""A cache of the catalog's vectors in FAISS, exact or approximate, that can always be rebuilt."""
