"""Pictures of queries, patients and evaluations, and the pixels that they show."""
