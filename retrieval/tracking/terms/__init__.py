"""What each term of a pair is worth: scatter of locations, size and type, from real pairs."""
