"""Signs approved CertificateSigningRequests of the signers that are ours (upstream: the controller manager's csrsigning)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raftkv.clock import Clock
from resource_api.controllers.object_index import Entry, ObjectIndex
from resource_api.controllers.queue import WorkQueue
from resource_api.errors import StatusError
from resource_api.security.certificates import Authority
from resource_api.security.signing import sign_approved

if TYPE_CHECKING:
    from resource_api.registry.api import Api

PREFIX = "certificatesigningrequests/"


class CertificateSigner:
    """Works on names of requests."""

    def __init__(self, api: Api, index: ObjectIndex, authority: Authority, clock: Clock) -> None:
        self._api = api
        self._authority = authority
        self._clock = clock
        self.queue = WorkQueue("certificate requests")
        index.listen(self._on_change)

    def _on_change(self, old: Entry | None, new: Entry | None) -> None:
        if new is not None and new.key.startswith(PREFIX):
            self.queue.add(new.metadata.name)

    async def reconcile(self, name: str) -> None:
        """Looks at the request, and signs it when it was approved."""
        requests = self._api.find("certificates.k8s.io", "certificatesigningrequests")
        try:
            request = await requests.get_object("", name)
        except StatusError as error:
            if error.code != 404:
                raise
            return
        await sign_approved(self._api, self._authority, self._clock, request)
