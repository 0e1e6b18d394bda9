"""``lesion-search index``: one module a group of its commands."""
