"""One module a command, each with ``register(app)``; ``service.cli`` puts them together.

The work lies in the packages: a command reads its options, calls one function and prints. What
takes seconds to import (torch, FAISS) is imported inside the commands, so that ``--help`` is
immediate.

check.py           what is in an archive and what is wrong with it
phantom.py         an archive of phantom patients
import_archive.py  other collections into DeepLesion's layout
index.py           build, add, remove, info, verify, export, import; sync.py with a Milvus
                   collection; approximate.py builds the approximate form
query.py           one lesion in, similar lesions and follow-ups out
detect.py          where lesions may be, on one slice or in a whole series
track.py           lesion tracks of one patient or of all
train.py           encoders and detectors from archives
fit_matcher.py     the matcher, calibrated for an encoder
serve.py           the HTTP service
keys.py            the API keys that it asks for
pacs.py            query, add and report by DICOMweb reference
deidentify.py      DICOM CT without its patients, under pseudonyms
demo.py            phantom archive, index, one query with its picture, the service
evaluate.py        the published protocols; evaluate_card.py an encoder's card from
                   their reports; evaluate_tracking.py matching of the same lesion;
                   evaluate_detection.py both protocols of detection
options.py         options that several commands share; option_groups.py several of them as one
"""
