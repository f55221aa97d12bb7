"""What this machine offers, what is wrong with it, and how to mend it."""
