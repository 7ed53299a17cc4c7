"""Programs that measure, each in one file: they run on any node from their source alone."""
