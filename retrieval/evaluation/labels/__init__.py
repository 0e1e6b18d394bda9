"""How well tags are read from text and predicted from images.

phrases.py  terms read from phrases against a radiologist's, beside simpler readers
"""
