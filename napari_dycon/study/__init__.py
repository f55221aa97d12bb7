"""The study on disk: schema, atomic files, annotations with their known map."""
