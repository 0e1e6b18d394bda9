"""Long jobs: an archive into an index, on this machine or on a cluster."""
