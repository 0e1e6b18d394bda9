"""How the height network is trained and calibrated; nothing here is needed to locate.

series.py     real series to learn from; augment.py changes them
losses.py     order and distance in mm
recipe.py     everything that decides a run; train.py the run
calibrate.py  the curve from score to DeepLesion's z
"""
