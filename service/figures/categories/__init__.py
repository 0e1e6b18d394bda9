"""Pictures of categories that were found without labels.

sheet.py  a row for each category with its surest lesions, and the tree
"""
