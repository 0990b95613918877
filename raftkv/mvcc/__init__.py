"""The multi-version key-value store and the watch hub."""
