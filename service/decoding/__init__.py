"""Untrusted bytes -> Slab in a process of its own, which may be killed at any moment.

limits.py     what one upload may cost: files, pixels, slices, bytes, seconds, memory
wire.py       how the service and a decoder talk: a fixed header, JSON, raw bytes; never pickle
decoder.py    the service's side of one process: its start, its deadline, its end
pool.py       warm decoders, lent to one upload at a time and replaced when they are spent
worker.py     the decoder's side: the process, its limits, its loop; imports no torch
reading.py    the files of one upload, unpacked, screened, then read by ``retrieval.sources``
unpacking.py  gzip and zip, with the bytes counted as they come out
screening.py  what a file claims of its size, judged before it is parsed
"""
