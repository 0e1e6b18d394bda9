"""Composition and delivery: the search engine, the command line, the HTTP service and its page.

engine.py      SearchEngine: encoder + index (+ detector) -> SearchResult; no HTTP
results.py     SearchResult and its parts, with DESIGN's JSON names
indexing.py    an archive into an index: pixels -> patches -> vectors -> catalog, resumable
patient_tracks.py  one patient of an index, as tracking wants it
pictures.py    the pixels of indexed lesions, read again from where they stand
figure.py      one figure of a query with its hits and follow-ups; result_panels.py fills it
embedding_space.py, embedding_map.py, map_figures.py  an index looked at as a whole: the notebook
cli.py         the command ``lesion-search``; each command is a module of commands/
console.py     what the commands share: stdout for the answer, stderr for everything else
app.py         the FastAPI application; routes, schemas, problems, settings, state, uploads
web/           the page: one file, no build step
"""
