"""Where the next minute of annotation is worth most."""
