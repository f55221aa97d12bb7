"""The command line ``dycon``: parses, calls, prints. Heavy modules are imported inside the commands."""

from napari_dycon.cli.app import app, main

__all__ = ["app", "main"]
