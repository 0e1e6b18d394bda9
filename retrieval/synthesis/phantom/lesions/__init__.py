"""Phantom lesions: site, appearance, course over studies, and RECIST mark."""
