"""Faults that are done to real clusters, each of which looks for its own effect."""

from jepsen_like.nemesis.nemesis import Nemesis
from jepsen_like.nemesis.registry import FAULTS, GROUPS, Prepared, UnknownFaultError, chosen, prepared

__all__ = ["FAULTS", "GROUPS", "Nemesis", "Prepared", "UnknownFaultError", "chosen", "prepared"]
