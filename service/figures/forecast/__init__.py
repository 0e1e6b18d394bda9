"""Pictures of what is likely to happen to a lesion."""
