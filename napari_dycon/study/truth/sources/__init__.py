"""Sources of pieces from strokes, one file each, registered by name."""
