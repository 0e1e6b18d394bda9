"""Are an image's values Hounsfield units? One judgement for every reader and every path.

judgement.py   require_hu: the one call of every reader; refuses, warns, or is silent
declared.py    what the file says of its values: modality, rescale type, image type, bits, units
histogram.py   what the values themselves say: air, fat and soft tissue where CT has them
"""
