"""Simulation, fault injection and history checkers; not built yet."""
