"""What keeps vectors where they are when the scan is worse, and where ImageNet puts them.

view_loss.py      one lesion on two scans, told from all others of the batch and of a memory
distillation.py   similarities within a batch held near those of frozen features
teacher.py        the frozen features of every training lesion, computed once
"""
