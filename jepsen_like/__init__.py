"""Simulation, fault injection and history checkers: so far the history format and the checkers of key-value histories."""
