"""Metrics as pure functions of ranked ids, and the published protocols built on them.

metrics.py, intervals.py          scores of ranked relevance; bootstrap over patients
cohort.py, splits.py              lesions as arrays; who asks and who may be found
baselines.py, frozen.py, pixels.py   vectors without learning, frozen ImageNet features, encoders
ranking.py, classification.py     every method's neighbours, block by block; votes of seeds
views.py, stability.py            other looks at the same lesion, and how far a vector moves
retrieval.py                      evaluate_retrieval: the protocol
nodule_cohort.py, nodules.py      evaluate_nodules: next slice, malignancy, texture, spiculation
report.py, report_file.py         scores beside baselines as JSON and tables; read back from a file
report_page.py                    one report as a page: encoder against baselines, stability
card_facts.py, model_card.py      what the author states, and the card beside the weights
tracking.py, tracking_report.py   follow-up matching; dls.py reads the DLS benchmark's files;
                                  linked_pairs.py where only some links are known
detection.py                      protocol A, boxes on key slices; boxes_3d.py protocol B, in 3D
detection_matching.py, froc.py    which lesions are hit; sensitivity at false positives an image
detection_baselines.py               detectors that learned nothing
detection_files.py                truth and predicted boxes as JSON
detection_report.py               every method's scores, baselines beside the detector
"""
