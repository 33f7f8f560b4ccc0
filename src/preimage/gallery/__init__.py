"""Pages and films of results."""
