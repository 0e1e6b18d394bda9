"""From patches to unit vectors."""
