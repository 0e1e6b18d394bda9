"""Commands that make models: training, and the matcher's calibration."""
