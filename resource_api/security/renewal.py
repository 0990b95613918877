"""Certificates that are renewed while the server runs: its own well before their end, given ones when their files have changed.

Owns what new TLS connections are served with, whose certificates clients may show, and the administrator's pair. The CA stays the one of
the start, since every client trusts it: near its end the log says what to do. Who shares the folder renews once: the others find the new
files. `look` is called in a thread, everything else on the loop. Source: kube-apiserver's dynamic serving certificates and client CAs,
which look at the given files once a minute.
"""

from __future__ import annotations

import asyncio
import logging
import pathlib
import ssl
from collections.abc import Callable

from cryptography import x509

from raftkv.clock import Clock
from resource_api.security.certificates import ADMIN_LEAF, Leaf, Pair, has_time_left, open_leaf
from resource_api.security.files import FileContentError, alone_in
from resource_api.security.material import Material, Paths, serving_context, serving_files, trusted_authorities

log = logging.getLogger("resource_api.security")

LOOK_EVERY_S = 60.0

Authorities = tuple[x509.Certificate, ...]


class Renewal:
    """See the module.

    Invariants: 1. a connection is served with a certificate and the key that belongs to it; 2. what cannot be read or written leaves
    everything as it was.
    """

    def __init__(self, paths: Paths, material: Material, leaf: Leaf, clock: Clock) -> None:
        """`leaf` is what the serving certificate says, unless the certificate was given."""
        self._paths = paths
        self._material = material
        self._leaf = leaf
        self._clock = clock
        self.admin = material.admin
        """The administrator's, renewed like the server's own."""
        self._served_from = material.served_from
        self._trusted = (material.client_authorities, material.proxy_authorities)
        self._current: ssl.SSLContext | None = None
        self._said = ""
        # The listener's context can neither be exchanged nor get a new pair in one step: each handshake is handed the present one instead.
        material.tls.sni_callback = self._choose

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, began_with: ssl.SSLContext) -> None:
        """Called by each handshake, with or without a server name."""
        if self._current is not None:
            connection.context = self._current

    async def run(self, on_admin: Callable[[Pair], None], on_trust: Callable[[Authorities, Authorities], None]) -> None:
        """Looks every minute, until it is cancelled. `on_admin` is told of a new administrator's pair, again when it raises OSError;
        `on_trust` of whose certificates are users' and front proxies' from now on."""
        told = self.admin.certificate
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                context = await asyncio.to_thread(self.look)
                if context is not None:
                    self._current = context
                    on_trust(*self._trusted)
                    log.warning("new connections get the new certificate, and clients are checked by the new authorities")
                if self.admin.certificate != told:
                    on_admin(self.admin)
                    told = self.admin.certificate
                    log.warning("the administrator has a new certificate")
                self._say(self._authority_advice())
            except (OSError, ValueError) as error:
                # An SSLError is an OSError. What is served now is served on, and the next look may find it mended.
                self._say(f"certificates are served on as they are: {error}")

    def look(self) -> ssl.SSLContext | None:
        """What new connections are to get from now on; None when nothing is new. Raises OSError, ValueError, which name the file."""
        paths = self._paths
        with alone_in(paths.directory):
            self._check_authority()
            authority = self._material.authority
            if paths.serving_certificate:
                certificate, key = pathlib.Path(paths.serving_certificate), pathlib.Path(paths.serving_key)
            else:
                pair = open_leaf(authority, paths.directory, "apiserver", self._leaf, self._clock)
                certificate, key = pair.certificate_path, pair.key_path
            self.admin = open_leaf(authority, paths.directory, "admin", ADMIN_LEAF, self._clock)
            found = tuple(path.read_bytes() for path in serving_files(paths, certificate, key))
            if found == self._served_from:
                return None
            context = serving_context(paths, authority, certificate, key)
            self._trusted = trusted_authorities(paths, authority)
            self._served_from = found
            return context

    def _check_authority(self) -> None:
        """Another CA's certificates are of no use to the clients of this server, and ours are none to those of who made it."""
        path = self._material.authority.pair.certificate_path
        if path.read_bytes() != self._material.authority.pair.certificate_pem:
            text = f"{path} is no longer the authority this server began with: restart it, and hand out the new kubeconfig"
            raise FileContentError(text, has_advice=True)

    def _authority_advice(self) -> str:
        certificate = self._material.authority.pair.certificate
        if has_time_left(certificate, self._clock):
            return ""
        path, end = self._material.authority.pair.certificate_path, certificate.not_valid_after_utc.date()
        return f"{path} ends on {end}: a restart makes a new authority, and every kubeconfig must be written anew"

    def _say(self, text: str) -> None:
        """Once, until something else is to be said."""
        if text and text != self._said:
            log.error("%s", text)
        self._said = text
