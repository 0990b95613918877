"""The bundle by which clients inside the cluster check the API server: the authorities of all servers over one store.

Servers with folders of their own have authorities of their own. The bundle of namespace `kube-system`, which only administrators write,
is where each server adds its own; those of all other namespaces, and of token Secrets, are copies of it. So servers agree whatever their
number, and nobody who may write in one namespace makes its pods trust another server. Upstream's servers join their client authorities in
`extension-apiserver-authentication` in the same way. Loop only.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from resource_api.errors import StatusError
from resource_api.security.authority_bundle import certificates, fingerprint, joined

if TYPE_CHECKING:
    from resource_api.registry.api import Api

log = logging.getLogger("resource_api.controllers")

HOME = "kube-system"
ROOT_CA = "kube-root-ca.crt"
HOME_KEY = f"configmaps/{HOME}/{ROOT_CA}"

MEND_AGAIN_S, MEND_AGAIN_MAX_S = 60.0, 3600.0
"""What somebody changes back waits so long to be mended again, twice as long each time."""


class AuthorityBundle:
    """One server's part in it."""

    def __init__(self, api: Api, own: str) -> None:
        self._api = api
        self.own = own
        self._told: tuple[str, ...] = ()

    async def text(self) -> str:
        """What every namespace is to have: the bundle of `kube-system`, our authority alone while there is none."""
        try:
            published = await self._api.find("", "configmaps").get_object(HOME, ROOT_CA)
        except StatusError as error:
            if error.code != 404:
                raise
            return self.own
        found = str((published.get("data") or {}).get("ca.crt") or "")
        return found if certificates(found) else self.own

    def with_own(self, published: str, now_s: float) -> str:
        """What the bundle of `kube-system` is to be. Says once who else is in it, and when there is no room."""
        made = joined(published, self.own, now_s)
        own = certificates(self.own)
        others = tuple(fingerprint(one) for one in certificates(published if made is None else made) if one not in own)
        if others and others != self._told:
            self._told = others
            fields = {"own": [fingerprint(one) for one in own], "others": list(others)}
            if made is None:
                text = f"{HOME_KEY} is full: clients inside the cluster cannot check this server; give servers of one store one --cert-dir"
            else:
                text = (
                    "other servers of this store have other authorities, or had: they refuse this server's certificates and tokens, as it "
                    f"does theirs. Give all one --cert-dir; if those servers are gone, delete ConfigMap {ROOT_CA} of {HOME}"
                )
            log.warning(text, extra={"fields": fields})
        return published if made is None else made


class Mending:
    """When what somebody else changes may be mended again. Bounded by the number of keys there are."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, float, float]] = {}
        """Key to what was written, when the loop's clock said so, and how long that has to last."""

    def wait_s(self, key: str, wanted: str) -> float:
        """How long to wait before `wanted` is written; not at all for what is not what was written last."""
        text, at_s, lasts_s = self._last.get(key, ("", 0.0, 0.0))
        return max(0.0, at_s + lasts_s - asyncio.get_running_loop().time()) if text == wanted else 0.0

    def note(self, key: str, written: str) -> None:
        """It is written now."""
        now_s = asyncio.get_running_loop().time()
        text, at_s, lasts_s = self._last.get(key, ("", 0.0, 0.0))
        again = text == written and now_s < at_s + 2 * lasts_s
        self._last[key] = (written, now_s, min(2 * lasts_s, MEND_AGAIN_MAX_S) if again else MEND_AGAIN_S)

    def forget(self, key: str) -> None:
        """It is gone."""
        self._last.pop(key, None)
