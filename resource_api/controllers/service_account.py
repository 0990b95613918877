"""Every namespace has a service account `default` and a ConfigMap `kube-root-ca.crt`; upstream's controller manager makes both."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from resource_api.controllers.authorities import HOME, HOME_KEY, ROOT_CA, AuthorityBundle, Mending
from resource_api.controllers.object_index import Entry, ObjectIndex
from resource_api.controllers.queue import WorkQueue
from resource_api.errors import Object, StatusError
from resource_api.registry.requests import loopback

if TYPE_CHECKING:
    from resource_api.registry.api import Api

log = logging.getLogger("resource_api.controllers")

DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or "
    "kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."
)


class NamespaceContent:
    """Works on names of namespaces."""

    def __init__(self, api: Api, index: ObjectIndex, bundle: AuthorityBundle) -> None:
        self._api = api
        self._index = index
        self._bundle = bundle
        self._mending = Mending()
        self.queue = WorkQueue("namespace content")
        index.listen(self._on_change)
        index.on_mended.append(self._look_again)

    def _look_again(self) -> None:
        """Something damaged is gone, perhaps in the place of what is to be made; or all are to have another bundle."""
        for key in self._index.by_key:
            if key.startswith("namespaces/"):
                self.queue.add(key.removeprefix("namespaces/"))

    def _on_change(self, old: Entry | None, new: Entry | None) -> None:
        entry = new or old
        assert entry is not None
        if entry.key.startswith("namespaces/") and new is not None:
            self.queue.add(new.metadata.name)
        elif entry.key == HOME_KEY:
            self._look_again()
        elif entry.key.endswith(f"/{ROOT_CA}") and entry.key.startswith("configmaps/"):
            if new is None or old is not None:
                self.queue.add(entry.metadata.namespace)
        elif new is None and entry.key.startswith("serviceaccounts/") and entry.key.endswith("/default"):
            self.queue.add(entry.metadata.namespace)

    async def reconcile(self, namespace: str) -> None:
        """Makes what is missing; mends another CA."""
        entry = self._index.by_key.get(f"namespaces/{namespace}")
        if entry is None or entry.metadata.deletion_timestamp:
            self._mending.forget(namespace)
            return
        if f"serviceaccounts/{namespace}/default" not in self._index.by_key:
            await self._create("serviceaccounts", "ServiceAccount", namespace, "default", {})
        if f"configmaps/{namespace}/{ROOT_CA}" not in self._index.by_key:
            text = self._bundle.own if namespace == HOME else await self._bundle.text()
            await self._create("configmaps", "ConfigMap", namespace, ROOT_CA, {"data": {"ca.crt": text}})
            return
        await self._mend(namespace)

    async def _mend(self, namespace: str) -> None:
        """At once, but not again and again: somebody else may take another bundle for the right one."""
        config_maps = self._api.find("", "configmaps")
        copied = "" if namespace == HOME else await self._bundle.text()
        wait_s, written = 0.0, ""

        def mended(obj: Object) -> Object:
            nonlocal wait_s, written
            wait_s, written = 0.0, ""
            data = obj.get("data") or {}
            wanted = copied or self._bundle.with_own(str(data.get("ca.crt") or ""), config_maps.clock.wall_s())
            if data == {"ca.crt": wanted}:
                return obj
            wait_s = self._mending.wait_s(namespace, wanted)
            if wait_s:
                return obj
            written = wanted
            return {**obj, "data": {"ca.crt": wanted}}

        await config_maps.patch(loopback(namespace), ROOT_CA, mended, patch_text="")
        if written:
            self._mending.note(namespace, written)
        if wait_s:
            fields = {"key": f"configmaps/{namespace}/{ROOT_CA}", "again_in_s": round(wait_s)}
            log.warning("somebody writes another authority again and again", extra={"fields": fields})
            self.queue.add_after(namespace, wait_s)

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
