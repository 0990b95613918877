"""The core simulation: consensus and a model of its storage on a bare event heap. See runs.py."""
