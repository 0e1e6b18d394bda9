"""Forecasts of growth, scored on patients left out beside no change, climatology and trend."""
