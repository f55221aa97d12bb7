"""Canvases beside the viewer's own and what is drawn over them."""
