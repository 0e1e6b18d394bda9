"""The search engine: no HTTP, usable from a notebook."""
