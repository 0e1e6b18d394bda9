"""Routes that tell what an answer means and what this service can do.

capabilities.py  which systems there is a model for, and whether the asker may write
similarity.py    what a cosine means among this index's lesions
categories.py    classes found without labels, with their tree
vocabulary.py    words, colours and windows
"""
