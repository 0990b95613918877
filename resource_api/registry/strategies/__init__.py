"""What built-in kinds do of their own on a write."""
