"""Growth of a track, and RECIST 1.1 response between studies."""
