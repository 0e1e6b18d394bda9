"""The same lesion over time: lesion graph, matcher, merges, tracks.

Pure functions of lesions and their vectors; nothing here reads an index.
"""
