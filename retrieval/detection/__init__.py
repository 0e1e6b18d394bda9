"""Where the lesions are: boxes with scores on a key slice, candidates in a volume.

proposals   Proposal: a proposed box with its score; the diameter a box speaks for
merging     overlapping raw detections into one proposal each: NMS, weighted box fusion
volumes     per-slice proposals of a series into 3D candidates
"""
