"""``lesion-search evaluate``: the published protocols and the model card."""
