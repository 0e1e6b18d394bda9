"""Training of the heads; the detector below them stays as it is.

recipe.py      everything that decides a run
batches.py     lesions with masks, seen by the frozen trunk
rated.py       rated nodules as features, for the head of tags
detections.py  training detections, for the refinement layer
train.py       masks, then their level, then tags, then the refinement
"""
