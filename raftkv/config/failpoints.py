"""What the environment says about failpoints. Two variables and no flag: nobody switches faults on by a slip in a command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PLACES_VARIABLE = "RAFTKV_FAILPOINTS"
ADDRESS_VARIABLE = "RAFTKV_FAILPOINTS_HTTP"


@dataclass(frozen=True, slots=True)
class FailpointSettings:
    """Both empty in every ordinary process: then the module that serves failpoints is not even imported."""

    places: str
    """`name=action;...`: on from the start. The language is that of `raftkv/failpoints.py`."""

    address: str
    """`host:port` at which they are switched over HTTP; empty: nowhere."""

    @property
    def asked(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.places or self.address)


def read_failpoints(environ: Mapping[str, str]) -> FailpointSettings:
    """Nothing is checked here: the places are known to `raftkv/failpoints.py`."""
    return FailpointSettings(environ.get(PLACES_VARIABLE, ""), environ.get(ADDRESS_VARIABLE, ""))
