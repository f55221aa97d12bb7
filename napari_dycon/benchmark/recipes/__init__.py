"""Benchmarks of papers, one file each: data, preprocessing, split, protocol and published figures."""

GROUP = "napari_dycon.recipes"
"""Entry points under which other packages name modules with recipes."""
