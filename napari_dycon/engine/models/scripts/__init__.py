"""What goes into every exported bundle, file by file; needs MONAI, PyTorch, NumPy and nibabel alone."""
