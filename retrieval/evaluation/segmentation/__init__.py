"""Evaluation of segmentation and measurement: masks of readers, marks jittered, baselines beside.

cohort      lesions with masks: nodules, sarcomas, DeepLesion lesions with masks
baselines   ellipse, threshold and GrabCut on the key slice; ellipsoid and threshold in 3D
scores      Dice, boundary distance, errors of diameters and volume, the ULS23 score
protocol    every lesion under every prompt; means with intervals by patient
report      the report: JSON, Markdown, terminal
"""
