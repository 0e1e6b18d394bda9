"""Answers as tables for a terminal or a CSV file."""
