"""The search engine: no HTTP, usable from a notebook.

query.py           LesionQuery: what is asked, parsed once for CLI, HTTP, PACS and notebook
search_engine.py   SearchEngine: encoder + index (+ detector); search = embed, then answer
query_box.py       which box a query is about: given, a RECIST mark's, or proposed
query_node.py      the embedded query, and the query among its patient's lesions
results.py         SearchResult and its parts, with the stable JSON names
patient_tracks.py  one patient of an index over time: tracks, response, a reader's decisions
model_files.py     which encoder, matcher and detector; detectors.py the detector in use
approximate_form.py  the index's approximate form in use, with its recall
"""
