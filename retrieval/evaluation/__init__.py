"""Metrics as pure functions of ranked ids, and the published protocols built on them."""
