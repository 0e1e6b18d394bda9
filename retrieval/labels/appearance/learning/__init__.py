"""Training of the head.

ratings.py     nodule ratings as terms
losses.py      weighted cross entropy and relational hard example mining
relational.py  the whole recipe, for an archive with labels mined from reports
fitting.py     a linear head on some hundred lesions: which features, calibration, thresholds
card.py        the scores of each term beside its baselines
"""
