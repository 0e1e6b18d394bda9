"""Lesion matching over studies scored, beside baselines that know less."""
