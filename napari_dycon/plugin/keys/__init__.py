"""Keys: the schemes, their binding and the preferences."""
