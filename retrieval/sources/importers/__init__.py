"""Importers: other collections of CT -> archives in DeepLesion's own layout.

registry.py lists them; source.py, splits.py and mask_marks.py are what they share.

lung_nodules.py, sarcoma.py    collections with masks
masks/                         CT with masks of one's own
real_positions.py              random positions in real CT, each a class of its own
backgrounds.py                 whole slices to stand on
"""
