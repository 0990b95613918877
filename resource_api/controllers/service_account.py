"""Every namespace has a service account `default` and a ConfigMap `kube-root-ca.crt`; upstream's controller manager makes both."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from resource_api.controllers.object_index import Entry, ObjectIndex
from resource_api.controllers.queue import WorkQueue
from resource_api.errors import Object, StatusError
from resource_api.registry.requests import loopback

if TYPE_CHECKING:
    from resource_api.registry.api import Api

log = logging.getLogger("resource_api.controllers")

MEND_AGAIN_S = 60.0
"""A CA that is changed again so soon after it was mended waits for the rest of it."""

ROOT_CA = "kube-root-ca.crt"
DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or "
    "kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."
)


class NamespaceContent:
    """Works on names of namespaces."""

    def __init__(self, api: Api, index: ObjectIndex, root_ca: str) -> None:
        self._api = api
        self._index = index
        self._root_ca = root_ca
        self._mended_s: dict[str, float] = {}
        """When the loop's clock said so, the CA of a namespace was last mended."""
        self.queue = WorkQueue("namespace content")
        index.listen(self._on_change)
        index.on_mended.append(self._look_again)

    def _look_again(self) -> None:
        """Something damaged is gone, perhaps in the place of what is to be made."""
        for key in self._index.by_key:
            if key.startswith("namespaces/"):
                self.queue.add(key.removeprefix("namespaces/"))

    def _on_change(self, old: Entry | None, new: Entry | None) -> None:
        entry = new or old
        assert entry is not None
        if entry.key.startswith("namespaces/") and new is not None:
            self.queue.add(new.metadata.name)
        elif entry.key.endswith(f"/{ROOT_CA}") and entry.key.startswith("configmaps/"):
            if new is None or old is not None:
                self.queue.add(entry.metadata.namespace)
        elif new is None and entry.key.startswith("serviceaccounts/") and entry.key.endswith("/default"):
            self.queue.add(entry.metadata.namespace)

    async def reconcile(self, namespace: str) -> None:
        """Makes what is missing; mends another CA."""
        entry = self._index.by_key.get(f"namespaces/{namespace}")
        if entry is None or entry.metadata.deletion_timestamp:
            self._mended_s.pop(namespace, None)
            return
        if f"serviceaccounts/{namespace}/default" not in self._index.by_key:
            await self._create("serviceaccounts", "ServiceAccount", namespace, "default", {})
        body: Object = {"data": {"ca.crt": self._root_ca}}
        if f"configmaps/{namespace}/{ROOT_CA}" not in self._index.by_key:
            await self._create("configmaps", "ConfigMap", namespace, ROOT_CA, body)
            return
        await self._mend(namespace, body)

    async def _mend(self, namespace: str, body: Object) -> None:
        """At once, but not again and again: servers that were given different authorities would write against each other for ever."""
        now_s = asyncio.get_running_loop().time()
        wait_s = self._mended_s.get(namespace, -MEND_AGAIN_S) + MEND_AGAIN_S - now_s
        is_other = False

        def mended(obj: Object) -> Object:
            nonlocal is_other
            is_other = obj.get("data") != body["data"]
            return {**obj, **body} if wait_s <= 0 else obj

        await self._api.find("", "configmaps").patch(loopback(namespace), ROOT_CA, mended, patch_text="")
        if is_other and wait_s > 0:
            log.warning(
                "somebody writes another authority, perhaps a server with another --cert-dir",
                extra={"fields": {"key": f"configmaps/{namespace}/{ROOT_CA}"}},
            )
            self.queue.add_after(namespace, wait_s)
        elif is_other:
            self._mended_s[namespace] = now_s

    async def _create(self, plural: str, kind: str, namespace: str, name: str, body: Object) -> None:
        metadata: Object = {"name": name, "namespace": namespace}
        if name == ROOT_CA:
            metadata["annotations"] = {"kubernetes.io/description": DESCRIPTION}
        obj = {"apiVersion": "v1", "kind": kind, "metadata": metadata, **body}
        try:
            await self._api.find("", plural).create(loopback(namespace), obj)
        except StatusError as error:
            # There by now, or the namespace is going or gone.
            ending = any(cause.reason == "NamespaceTerminating" for cause in error.causes)
            if error.code not in (404, 409) and not ending:
                raise
