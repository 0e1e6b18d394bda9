"""Detection scored by the published protocols, beside detectors that learned nothing."""
