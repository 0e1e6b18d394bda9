"""An indexed lesion found again in a series that nobody has marked.

expected.py      ExpectedPlace: where the lesion should lie, with its error
search_area.py   the slices and points of a series that are worth a look, likeliest first
dense_search.py  patches of the lesion's size on a grid, compared with its vector
proposals.py     the detector's candidates about the place
matching.py      the matcher's word on all candidates: found, uncertain, not found
registration.py  the place by registering both scans (SimpleITK, the extra `registration`)
search.py        find_again: all of it together
findings.py      what is answered, with its JSON
"""
