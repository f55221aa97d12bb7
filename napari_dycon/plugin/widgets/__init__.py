"""Views of the dock: they show state and emit intentions, nothing else."""
