"""Where matching fails, for a notebook.

links.py     an index's lesion tracks held against the tracks that its archives know
pictures.py  the two lesions of each wrong or missed link side by side
"""
