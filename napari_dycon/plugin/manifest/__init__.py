"""What napari finds in the manifest: reader, writer, sample data, commands, and the launch."""
