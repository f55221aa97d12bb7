"""What a person wants of a part of the study, and what then happens."""
