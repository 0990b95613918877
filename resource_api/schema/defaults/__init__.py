"""What built-in kinds are filled in with."""
