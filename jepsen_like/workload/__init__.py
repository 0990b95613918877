"""What clients do in a run, and what must be true of what they saw."""
