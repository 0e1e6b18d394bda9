"""Lesion retrieval scored: rankings, splits, baselines, stability, rated nodules."""
