"""Composition and delivery: the search engine, the command line, the HTTP service and its page."""
