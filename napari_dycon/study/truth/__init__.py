"""What is known about a scan, voxel by voxel, and how a person changes it; in memory alone."""
