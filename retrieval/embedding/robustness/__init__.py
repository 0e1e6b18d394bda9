"""What keeps vectors where they are when the scan is worse, and where a teacher puts them.

view_loss.py      one lesion on two scans, told from all others of the batch and of a memory
distillation.py   similarities within a batch held near those of frozen features
rating_loss.py    similarities held near those of readers' ratings
known_vectors.py  a lesion on a worse scan held at the vector a teacher gives it as it is
teacher.py        frozen features or a teacher's vectors of every training lesion, computed once
"""
