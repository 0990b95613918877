"""Faults that are done to real clusters, each of which looks for its own effect."""

from jepsen_like.nemesis.nemesis import Nemesis
from jepsen_like.nemesis.registry import FAULTS, GROUPS, UnknownFaultError, chosen

__all__ = ["FAULTS", "GROUPS", "Nemesis", "UnknownFaultError", "chosen"]
