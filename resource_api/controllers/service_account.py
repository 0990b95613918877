"""Every namespace has a service account `default` and a ConfigMap `kube-root-ca.crt`; upstream's controller manager makes both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resource_api.controllers.object_index import Entry, ObjectIndex
from resource_api.controllers.queue import WorkQueue
from resource_api.errors import Object, StatusError
from resource_api.registry.requests import loopback

if TYPE_CHECKING:
    from resource_api.registry.api import Api

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
            return
        if f"serviceaccounts/{namespace}/default" not in self._index.by_key:
            await self._create("serviceaccounts", "ServiceAccount", namespace, "default", {})
        body: Object = {"data": {"ca.crt": self._root_ca}}
        if f"configmaps/{namespace}/{ROOT_CA}" not in self._index.by_key:
            await self._create("configmaps", "ConfigMap", namespace, ROOT_CA, body)
            return
        configs = self._api.find("", "configmaps")
        await configs.patch(loopback(namespace), ROOT_CA, lambda obj: {**obj, **body}, patch_text="")

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
