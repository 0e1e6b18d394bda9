"""One module a command, each with ``register(app)``; ``service.cli`` puts them together.

The work lies in the packages: a command reads its options, calls one function and prints. What
takes seconds to import (torch, FAISS) is imported inside the commands, so that ``--help`` is
immediate.

check.py           what is in an archive and what is wrong with it
phantom.py         an archive of phantom patients
import_archive.py  other collections into DeepLesion's layout
index.py           build, add, remove, info, verify, export, import
query.py           one lesion in, similar lesions and follow-ups out
track.py           lesion tracks of one patient or of all
train.py           an encoder from archives
fit_matcher.py     the matcher, calibrated for an encoder
serve.py           the HTTP service
keys.py            the API keys that it asks for
demo.py            phantom archive, index, one query with its picture, the service
evaluate.py        the published protocols; evaluate_card.py an encoder's card from
                   their reports; evaluate_tracking.py matching of the same lesion
options.py         options that several commands share
"""
