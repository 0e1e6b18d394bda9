"""Metrics as pure functions of ranked ids, and the published protocols built on them.

stats/         metrics, and bootstrapped intervals over patients
retrieval/     similar lesions, the same patient's, rated nodules; beside baselines
detection/     protocols A (key slices) and B (sub-volumes)
tracking/      matching of the same lesion over studies; the DLS benchmark
reporting/     the one report: its tables, files and pages; the model card
"""
