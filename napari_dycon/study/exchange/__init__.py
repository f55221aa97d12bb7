"""What comes into a study and what leaves it: scans, label maps, masks; and what is wrong with them."""
