"""Weight files: which there are, how they reach this machine, how they are read."""
