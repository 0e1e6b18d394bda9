"""Vectors and lesions in; neighbours out. Never imports torch.

lesion_index.py  LesionIndex: add, remove, search, verify
storage.py       IndexStorage: the Protocol of what keeps the catalog and searches the vectors
opening.py       which of its two implementations an index folder is opened with
catalog/         SQLite, the truth: lesions, vectors, image sources, matches
faiss_store/     the vectors in memory, exact or approximate, with a snapshot beside the catalog
milvus/          the vectors on a Milvus server that follows the catalog
filters/         LesionFilter: one grammar -> SQL, FAISS selection, Milvus expression
vectors.py       what a vector must be; queries and hits
verify.py        every checksum and norm, the catalog against what is searched
own_images.py    the pixels that an index keeps itself; files.py their modes and fsyncs
parquet/         an index as one file, and back
reports.py       what an index answers, summary.py what it holds; errors.py
"""
