"""Searches by words: an index, what reads the words, and what models make of its lesions.

search.py  lesions that fit words, each with its reasons
"""
