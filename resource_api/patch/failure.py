"""The ways a patch fails: it is no patch, or it does not fit the object. `http/patch_bodies.py` knows which Status each becomes."""

from __future__ import annotations


class BadPatchError(ValueError):
    """The patch itself cannot be understood."""


class DoesNotApplyError(ValueError):
    """The patch is well formed, but not for this object."""


class UnmergeableError(ValueError):
    """A strategic merge patch and the object cannot be brought together, for a reason upstream has a text for and no code."""


class TooManyOperationsError(ValueError):
    """A JSON patch is longer than is taken."""
