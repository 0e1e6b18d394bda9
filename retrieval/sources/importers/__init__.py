"""Importers: other collections of CT -> archives in DeepLesion's own layout.

registry.py lists them; splits.py, mask_marks.py and progress.py are what they share.
"""
