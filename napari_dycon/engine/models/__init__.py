"""Models that leave a study and come into another one."""
