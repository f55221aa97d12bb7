"""Where a training runs: here, or in a process of its own. Each yields the same events."""
