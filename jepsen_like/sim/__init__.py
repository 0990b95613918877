"""Simulated clusters: whole runs on virtual time, repeated exactly from one seed."""
