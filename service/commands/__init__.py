"""One module a command, each with ``register(app)``; ``service.cli`` loads the one that is run.

The work lies in the packages: a command reads its options, calls one function and prints. What
takes seconds to import (torch, FAISS) is imported inside the commands, so that ``--help`` is
immediate.

archives/          check, phantom, import, deidentify
indexing/          index build, add, remove, info, verify, export, import, sync, approximate, map
evaluation/        the published protocols and the model card
models/            train and fit-matcher
query.py           one lesion in, similar lesions and follow-ups out
detect.py          where lesions may be, on one slice or in a whole series
locate.py          the body position of every slice, with its error
track.py           lesion tracks of one patient or of all
serve.py, keys.py  the HTTP service, and the API keys that it asks for
pacs.py            query, add and report by DICOMweb reference
demo.py            phantom archive, index, one query with its picture, the service
options.py         options that several commands share
"""
