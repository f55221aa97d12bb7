"""Backbones beside those of `networks`, one file each, registered by name."""
