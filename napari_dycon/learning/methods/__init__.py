"""Learning methods, one file each, registered by name."""

GROUP = "napari_dycon.methods"
"""Entry points under which other packages name modules with methods."""
