"""Planning, training, prediction and evaluation as generators of events."""
