"""Metrics as pure functions of ranked ids, and the published protocols built on them.

metrics.py, intervals.py          scores of ranked relevance; bootstrap over patients
cohort.py, splits.py              lesions as arrays; who asks and who may be found
floors.py, frozen.py, pixels.py   vectors without learning, frozen ImageNet features, encoders
ranking.py, classification.py     every method's neighbours, block by block; votes of seeds
views.py, stability.py            other looks at the same lesion, and how far a vector moves
retrieval.py                      evaluate_retrieval: the protocol
nodule_cohort.py, nodules.py      evaluate_nodules: next slice, malignancy, texture, spiculation
report.py, model_card.py          scores beside floors as JSON, table and Markdown card
tracking.py, tracking_report.py   follow-up matching; dls.py reads the DLS benchmark's files
"""
