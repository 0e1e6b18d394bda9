"""Fits and calibrates the matcher on patients whose lesion tracks are known. An offline step."""
