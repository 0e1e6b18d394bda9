"""Words that somebody types to find lesions.

limits.py   sizes, days, patients and sides among the words
parsing.py  words into terms that must hold, should hold or must not, and limits; what is unknown
scoring.py  how well a lesion fits the words, and why
"""
