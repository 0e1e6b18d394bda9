"""Tags of lesions: the vocabulary, reports into terms, terms of an image, words into a search.

vocabulary/  the terms with their kinds, synonyms, parents and exclusions
text/        a phrase or sentence of a report into relevant, uncertain and negated terms
"""
