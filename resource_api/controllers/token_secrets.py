"""Fills Secrets of type `kubernetes.io/service-account-token`, and deletes those whose account is gone (upstream: tokens_controller)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from resource_api.controllers.authorities import HOME_KEY, AuthorityBundle, Mending
from resource_api.controllers.object_index import Entry, ObjectIndex
from resource_api.controllers.queue import WorkQueue
from resource_api.errors import Object, StatusError
from resource_api.registry.requests import DeleteOptions, ListOptions, loopback
from resource_api.security.legacy_tokens import ACCOUNT_NAME, ACCOUNT_UID, SECRET_TYPE, LegacyTokens

if TYPE_CHECKING:
    from resource_api.registry.api import Api

SECRETS, ACCOUNTS = "secrets/", "serviceaccounts/"


class TokenSecrets:
    """Works on keys of Secrets that changed and of accounts that went."""

    def __init__(self, api: Api, index: ObjectIndex, tokens: LegacyTokens, bundle: AuthorityBundle) -> None:
        self._api = api
        self._index = index
        self._tokens = tokens
        self._bundle = bundle
        self._mending = Mending()
        self.queue = WorkQueue("token secrets")
        index.listen(self._on_change)

    def _on_change(self, old: Entry | None, new: Entry | None) -> None:
        entry = new or old
        assert entry is not None
        if entry.key == HOME_KEY:
            for key in self._index.by_key:
                if key.startswith(SECRETS):
                    self.queue.add(key)
        elif (entry.key.startswith(SECRETS) and new is not None) or (entry.key.startswith(ACCOUNTS) and new is None):
            self.queue.add(entry.key)

    async def reconcile(self, key: str) -> None:
        """Brings one Secret in order, or those of an account that went."""
        _, namespace, name = key.split("/", 2)
        secrets = self._api.find("", "secrets")
        if key.startswith(SECRETS):
            found = await self._get("secrets", namespace, name)
            if found is None:
                self._mending.forget(key)
            if found is not None and found.get("type") == SECRET_TYPE:
                await self._settle(found)
            return
        listing = await secrets.reader.list(namespace, ListOptions(field_selector=f"type={SECRET_TYPE}"))
        for item in listing.items:
            obj = item.object()
            if (obj["metadata"].get("annotations") or {}).get(ACCOUNT_NAME) == name:
                await self._settle(obj)

    async def _get(self, plural: str, namespace: str, name: str) -> Object | None:
        """None when it is gone."""
        try:
            return await self._api.find("", plural).get_object(namespace, name)
        except StatusError as error:
            if error.code != 404:
                raise
        return None

    async def _settle(self, secret: Object) -> None:
        metadata = secret["metadata"]
        if metadata.get("deletionTimestamp"):
            return
        namespace, annotations = metadata["namespace"], metadata.get("annotations") or {}
        account = await self._get("serviceaccounts", namespace, annotations.get(ACCOUNT_NAME, ""))
        uid = annotations.get(ACCOUNT_UID)
        try:
            if account is None or (uid and uid != account["metadata"]["uid"]):
                options = DeleteOptions(precondition_uid=metadata["uid"])
                await self._api.find("", "secrets").delete(loopback(namespace), metadata["name"], options)
            else:
                await self._fill(secret, account)
        except StatusError as error:
            # Gone or changed since: another event tells.
            if error.code not in (404, 409):
                raise

    async def _fill(self, secret: Object, account: Object) -> None:
        metadata, data = secret["metadata"], dict(secret.get("data") or {})
        before = (data.copy(), (metadata.get("annotations") or {}).get(ACCOUNT_UID))
        bundle, key = await self._bundle.text(), f"{SECRETS}{metadata['namespace']}/{metadata['name']}"
        wanted = base64.b64encode(bundle.encode()).decode()
        if data.get("ca.crt") != wanted:
            wait_s = self._mending.wait_s(key, bundle)
            if wait_s:
                # Somebody else takes another for the right one.
                self.queue.add_after(key, wait_s)
            else:
                data["ca.crt"] = wanted
        data.setdefault("namespace", base64.b64encode(metadata["namespace"].encode()).decode())
        if not data.get("token"):
            data["token"] = base64.b64encode(self._tokens.issue(account, metadata["name"]).encode()).decode()
        if before == (data, account["metadata"]["uid"]):
            return
        annotations = {**metadata["annotations"], ACCOUNT_UID: account["metadata"]["uid"]}
        changed = {**secret, "metadata": {**metadata, "annotations": annotations}, "data": data}
        await self._api.find("", "secrets").update(loopback(metadata["namespace"]), metadata["name"], changed)
        if data["ca.crt"] == wanted:
            self._mending.note(key, bundle)
