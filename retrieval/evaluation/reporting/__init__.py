"""Reports of evaluations: files, pages and model cards."""
