"""Searches by words: an index, what reads the words, and what models make of its lesions.

search.py  lesions that fit words, each with its reasons
prototypes.py  what lesions of a term look like
kept.py        answers that are kept until the index changes
"""
