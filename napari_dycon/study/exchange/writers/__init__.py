"""Formats in which masks leave a study, one file each, registered by name."""
