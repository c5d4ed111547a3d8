"""Pages of the groups of errors."""
