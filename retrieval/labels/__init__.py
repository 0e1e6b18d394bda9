"""Tags of lesions: the vocabulary, reports into terms, terms of an image, words into a search.

vocabulary/  the terms with their kinds, synonyms, parents and exclusions
text/        a phrase or sentence of a report into relevant, uncertain and negated terms
words/       words that somebody types to find lesions, and how well a lesion fits them
appearance/  terms that an image shows: features, the head, its training
place.py     body parts from a lesion's type and position
lesanet_files.py  LesaNet's labels of DeepLesion's lesions
"""
