"""The truth: lesions, vectors and readers' matches in SQLite."""
