"""Admission whose passes are timed, under kube-apiserver's name. Loop only. Hot path."""

from __future__ import annotations

from collections.abc import Awaitable

from raftkv.clock import Clock
from resource_api.errors import StatusError
from resource_api.histograms import Histogram
from resource_api.registry.admission import Admission, AdmissionRequest

BUCKETS_S = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5)
LABELS = ("operation", "rejected", "type")


class MeasuredAdmission(Admission):
    """See Admission."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        text = "Duration of all plugins together, by operation and pass."
        self.durations = Histogram("apiserver_admission_step_admission_duration_seconds", text, LABELS, BUCKETS_S)

    async def admit(self, request: AdmissionRequest) -> None:
        """See Admission."""
        await self._timed("admit", request, super().admit(request))

    async def validate(self, request: AdmissionRequest) -> None:
        """See Admission."""
        await self._timed("validate", request, super().validate(request))

    async def _timed(self, step: str, request: AdmissionRequest, call: Awaitable[None]) -> None:
        started_s = self._clock.monotonic_s()
        rejected = "false"
        try:
            await call
        except StatusError:
            rejected = "true"
            raise
        finally:
            self.durations.observe((request.operation, rejected, step), self._clock.monotonic_s() - started_s)
