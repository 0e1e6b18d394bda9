"""Where CT comes from. Each module reads one kind of file and gives CTSlab in HU."""
