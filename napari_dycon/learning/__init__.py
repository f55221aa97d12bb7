"""What the model learns with: losses, networks, schedules, teachers and methods."""
