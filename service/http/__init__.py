"""The HTTP service: application, settings, places, problems and what is observed."""
