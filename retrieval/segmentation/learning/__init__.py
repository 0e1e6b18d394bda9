"""How the mask network is trained and calibrated; nothing here is needed to measure.

example.py     one lesion with its mask on neighbouring slices
real.py        nodules and sarcomas with the masks of readers
phantoms.py    lesions of phantoms, every organ; painted.py lesions painted into real CT
prompting.py   marks as readers would draw them, drawn from a mask
augment.py     views changed; batches.py what a step is made of
losses.py      cross-entropy and Dice
recipe.py      everything that decides a run; train.py the run
"""
