"""A phrase or sentence of a report into terms of the vocabulary.

tokens.py     words with their places, inflections levelled
phrases.py    the vocabulary's phrases found among the words
composing.py  terms that are said in parts: side and organ, site and node, organ and type
assertion.py  what is denied, uncertain or past, in the manner of NegEx
measures.py   sizes in mm, series and image references
reading.py    all of it: a text into ReportTags
"""
