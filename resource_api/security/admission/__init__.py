"""Admission plugins: each refuses or completes one sort of write. `plugins.py` puts them in order."""
