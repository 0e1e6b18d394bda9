"""What marks mean: lines paired, lesion or anatomy, lengths cross-checked, the box.

options.py  what a user decides
judging.py  judge_marks: one verdict for every mark
"""
