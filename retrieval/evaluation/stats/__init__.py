"""Metrics as pure functions, and bootstrapped intervals."""
