"""Archives in DeepLesion's own layout: table, PNGs, checks, and the writer."""
