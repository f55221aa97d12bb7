"""One page about a study for the methods section of a paper: what was labelled, how, and how good it is."""
