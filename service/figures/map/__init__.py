"""The map of an embedding space: projection, neighbours and pictures."""
