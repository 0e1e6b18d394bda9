"""What marks mean: lines paired, lesion or anatomy, lengths cross-checked, the box.

judging.py    judge_marks: one verdict for every mark
options.py    what a user decides
findings.py   lesion, anatomy or treatment volume, by category, code and words
segments.py   reports meet the segments that they measured
placing.py    a mark on its image
pairing.py    the calibrated rule for two lines
paired.py     lines: pairs and singles
single.py     all other marks, each by itself
diameters.py  four ends, extent and diameters of what was drawn
lengths.py    stated lengths against points
texts.py      words beside marks, or for the detector
"""
