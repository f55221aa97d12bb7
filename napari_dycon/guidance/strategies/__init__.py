"""Strategies that say where to annotate next, one file each, registered by name."""
