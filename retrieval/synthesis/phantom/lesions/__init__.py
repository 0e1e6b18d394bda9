"""Phantom lesions: site, appearance, history over studies, and RECIST mark."""
