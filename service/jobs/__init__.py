"""Long jobs: an archive into an index, here or on a cluster; marks into an archive."""
