"""Everything that knows napari and Qt."""
