"""Composition and delivery: the search engine, the command line, the HTTP service and its page.

engine/        SearchEngine, LesionQuery and results; no HTTP, usable from a notebook
http/          the application: routes/, schemas/, guards/ and uploads/
decoding/      untrusted bytes -> Slab, in processes of their own
pacs/          a PACS over DICOMweb; structured reports
deid/          DICOM without its patients, under pseudonyms
jobs/          an archive into an index, on one machine or on a Ray cluster
figures/       pictures and tables of answers, and the pixels of indexed lesions
commands/      the command ``lesion-search``, put together by cli.py
web/           the page, plain JavaScript without a build step
console.py     what the commands share: stdout for the answer, stderr for everything else
extras.py      the optional packages of each extra; logs.py the structured logs
"""
