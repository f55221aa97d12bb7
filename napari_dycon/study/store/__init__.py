"""The study folder: its files, their history, and the lock that guards them."""
