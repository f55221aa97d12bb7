"""Interactive, semi-supervised training of segmentation models on 3D medical scans."""

__version__ = "0.1.0"
