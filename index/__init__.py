"""Vectors and lesions in; neighbours and tracks out. Never imports torch.

lesion_index.py  LesionIndex = catalog + store: add, remove, search, verify
filters.py       LesionFilter: one grammar for Python, command line and HTTP
catalog.py       SQLite, the truth: lesions, vectors, image sources, matches
                 (schema, rows, connections, catalog_writer, match_table, creation, damage_watch)
store.py         VectorStore and FaissStore: a cache that can always be rebuilt
                 (segments, exact, approximate, selection, snapshots)
storage.py       catalog and store kept level: one read path, one write path
milvus.py        the same protocol on a Milvus server (milvus_client, milvus_schema,
                 milvus_filters); milvus_storage.py and milvus_sync.py keep it level
opening.py       which of the two stores an index folder is opened with
verify.py        every checksum and norm, the catalog against FAISS or Milvus
parquet.py       an index as one file, and back
tracking.py      the lesion graph of one patient -> lesion tracks, follow-ups
                 (edges, matcher, association, lesion_graph, merges, course, study_order)
response.py      RECIST 1.1 response (response_targets); growth.py: one track over time
matcher_fit.py   offline: the matcher's weights; baselines.py, simulated_patients.py beside it
                 (hardened_patients, location_noise: phantoms as hard to match as real patients)
"""
