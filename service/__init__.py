"""Composition and delivery: the search engine, the command line, the HTTP service and its page.

engine.py      SearchEngine: encoder + index (+ detector) -> SearchResult; no HTTP
results.py     SearchResult and its parts, with DESIGN's JSON names
query_box.py, query_node.py  the box of a query, and the query among its patient's lesions
detectors.py   the detector in use; detection_figure, detection_tables, froc_figure show it
approximate_form.py  the index's approximate form in use, with its recall
indexing.py    an archive into an index: pixels -> patches -> vectors -> catalog, resumable
bulk_embedding.py  the same on a Ray cluster: bulk_worker.py there, ray_cluster.py between
patient_tracks.py  one patient of an index over time: tracks, response, a reader's decisions
timeline.py    the figure of it (timeline_sheet, response_chart); track_table.py the CSV
track_mistakes.py  links held against known tracks; track_mistake_figure.py shows them
matcher_fitting.py the matcher fitted for an encoder; matcher_card.py its card
tracking_evaluation.py  matching beside its baselines; tracking_tables, calibration_figure show it
pictures.py    the pixels of indexed lesions, read again from where they stand
figure.py      one figure of a query with its hits and follow-ups; result_panels.py fills it
embedding_space.py, embedding_map.py, map_figures.py  an index looked at as a whole: the notebook
cli.py         the command ``lesion-search``; each command is a module of commands/
console.py     what the commands share: stdout for the answer, stderr for everything else
dicomweb.py    a PACS over DICOMweb (dicomweb_*.py); structured_report.py writes DICOM SR
deidentify.py  DICOM without its patient, under pseudonyms.py; deidentify_folder.py for folders
app.py         the FastAPI application: *_routes.py answer, *_schemas.py and forms.py are their
               JSON and forms; startup, state, settings, dependencies, problems
query_images.py    the CT of a request: uploads.py reads it, held_uploads.py keeps it
added_lesions.py   lesions added and removed over HTTP; slices.py, map_points.py for the viewer
batching.py, gate.py   patches embedded together; how many requests compute at once
observing.py   request ids, logs.py and metrics.py; openapi.py describes it all with examples
decoding/      untrusted bytes -> Slab in a process of its own
guards/        keys, rates, sizes, headers: what stands between a socket and the routes
web/           the page, plain JavaScript without a build step: core, viewer, search, patient, map
"""
