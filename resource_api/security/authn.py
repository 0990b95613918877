"""Who asks: client certificate, front proxy, static tokens, service accounts, bootstrap tokens, and nobody.

Order: front proxy, certificate, bearer token, anonymous. The first that recognises the request decides; credentials that are wrong are
401 and never anonymous, those of a scheme that nobody here knows are none. TLS has already checked that a certificate was signed by one of
the CAs. Source: spec D.2.
"""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import io
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from raftkv.clock import Clock
from resource_api.errors import Object, unauthorized
from resource_api.registry.requests import User
from resource_api.schema.times import parse_time
from resource_api.security.legacy_tokens import LegacyTokens
from resource_api.security.lookup import Lookup, get_or_none
from resource_api.security.tokens import TokenError, TokenIssuer, Verified

AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
ANONYMOUS = User("system:anonymous", (UNAUTHENTICATED,))
CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"

UID_ATTRIBUTE = x509.ObjectIdentifier("1.3.6.1.4.1.57683.2")
WEBSOCKET_BEARER = "base64url.bearer.authorization.k8s.io."

CERTIFICATES_REMEMBERED_MAX = 1024
"""Parsed client certificates; at the bound all are forgotten."""

BOOTSTRAP_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
BOOTSTRAP_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")
BOOTSTRAP_TYPE = "bootstrap.kubernetes.io/token"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brings."""

    authorization: str = ""
    """The `Authorization` header."""
    websocket_protocols: tuple[str, ...] = ()
    """Of `Sec-WebSocket-Protocol`, split."""
    certificate: bytes | None = None
    """The peer's certificate (DER), checked by TLS against the CAs of the context."""
    headers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """All headers by lower-case name; read for the front proxy only."""


@dataclass(frozen=True, slots=True)
class FrontProxy:
    """Who may say who asks (`--requestheader-*`)."""

    authorities: tuple[x509.Certificate, ...]
    allowed_names: tuple[str, ...] = ()
    """Common names of its certificate; empty: any."""
    username_headers: tuple[str, ...] = ("x-remote-user",)
    uid_headers: tuple[str, ...] = ("x-remote-uid",)
    group_headers: tuple[str, ...] = ("x-remote-group",)
    extra_prefixes: tuple[str, ...] = ("x-remote-extra-",)


def websocket_bearer(protocols: Sequence[str]) -> tuple[str | None, tuple[str, ...]]:
    """The bearer token a browser smuggles as a subprotocol, and the protocols without it. Raises StatusError 401 when it is malformed."""
    tokens = [protocol for protocol in protocols if protocol.startswith(WEBSOCKET_BEARER)]
    rest = tuple(protocol for protocol in protocols if not protocol.startswith(WEBSOCKET_BEARER))
    if not tokens:
        return None, rest
    encoded = tokens[0].removeprefix(WEBSOCKET_BEARER)
    try:
        token = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise unauthorized() from error
    if len(tokens) > 1 or not rest or not token:
        raise unauthorized()
    return token, rest


class StaticTokens:
    """Tokens known from the start: `--token-auth-file` and the administrator's own. Kept as digests, so that look-up time tells nothing."""

    def __init__(self) -> None:
        self._users: dict[bytes, User] = {}

    def add(self, token: str, user: User) -> None:
        """This token is that user."""
        self._users[_digest(token)] = user

    def find(self, token: str) -> User | None:
        """Whose token it is."""
        return self._users.get(_digest(token))

    def add_csv(self, text: str) -> None:
        """Lines `token,user,uid,"group1,group2"`; raises ValueError naming the line."""
        for number, row in enumerate(csv.reader(io.StringIO(text), skipinitialspace=True), 1):
            if not row or row[0].startswith("#"):
                continue
            if len(row) < 3:
                raise ValueError(
                    f"line {number} of the token file has {len(row)} columns, at least 3 are needed: token, user name, user uid"
                )
            if not row[0]:
                raise ValueError(f"line {number} of the token file has no token")
            groups = tuple(group for group in row[3].split(",") if group) if len(row) > 3 else ()
            self.add(row[0], User(row[1], groups, row[2]))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


class _Peer(NamedTuple):
    """A client certificate, read once."""

    valid_from_s: float
    valid_to_s: float
    is_client: bool
    is_proxy: bool
    user: User | None


class Authenticator:
    """See the module. May wait: service accounts and bootstrap tokens are looked up at every request."""

    def __init__(
        self,
        clock: Clock,
        *,
        tokens: StaticTokens | None = None,
        issuer: TokenIssuer | None = None,
        legacy: LegacyTokens | None = None,
        lookup: Lookup | None = None,
        bootstrap_tokens: bool = True,
        anonymous: bool = True,
        front_proxy: FrontProxy | None = None,
        client_authorities: Sequence[x509.Certificate] = (),
    ) -> None:
        self._clock = clock
        self._tokens = tokens if tokens is not None else StaticTokens()
        self._issuer = issuer
        self._legacy = legacy
        self._lookup = lookup
        self._bootstrap_tokens = bootstrap_tokens
        self._anonymous = anonymous
        self._front_proxy = front_proxy
        self._client_authorities = tuple(client_authorities)
        self._peers: dict[bytes, _Peer] = {}

    def trust(self, client_authorities: Sequence[x509.Certificate], proxy_authorities: Sequence[x509.Certificate]) -> None:
        """Whose certificates are users' and front proxies' from now on. TLS has checked that they are anybody's."""
        self._client_authorities = tuple(client_authorities)
        if self._front_proxy is not None:
            self._front_proxy = replace(self._front_proxy, authorities=tuple(proxy_authorities))
        self._peers.clear()

    async def authenticate(self, credentials: Credentials) -> User:
        """Who asks. Raises StatusError 401."""
        if credentials.certificate is not None:
            peer = self._peer(credentials.certificate)
            user = (self._proxied(credentials.headers) if peer.is_proxy else None) or peer.user
            if user is not None:
                return user
        token = _bearer(credentials.authorization)
        if token is None and credentials.websocket_protocols:
            token, _ = websocket_bearer(credentials.websocket_protocols)
        if token is not None:
            found = await self.verify(token)
            if found is None:
                raise unauthorized()
            return found.user
        if not self._anonymous:
            raise unauthorized()
        return ANONYMOUS

    async def verify(self, token: str, audiences: Sequence[str] = ()) -> Verified | None:
        """Whose bearer token it is and for which audiences, None when nobody's. Without audiences the server's own count."""
        own = self._issuer.api_audiences if self._issuer is not None else ()
        shared = tuple(one for one in audiences if one in own) if audiences else tuple(own)
        known = self._tokens.find(token)
        if known is None and self._issuer is not None and token.count(".") == 2:
            try:
                found = await self._issuer.verify(token, audiences)
                return Verified(with_authenticated(found.user), found.audiences)
            except TokenError:
                known = await self._of_secret(token)
        match = BOOTSTRAP_TOKEN.fullmatch(token)
        if known is None and match is not None and self._bootstrap_tokens and self._lookup is not None:
            known = await self._bootstrap(self._lookup, match[1], match[2])
        # Tokens that name no audience are for this server.
        return Verified(with_authenticated(known), shared) if known is not None and (shared or not audiences) else None

    async def _of_secret(self, token: str) -> User | None:
        """Whose token of a Secret it is."""
        try:
            return await self._legacy.verify(token) if self._legacy is not None else None
        except TokenError:
            return None

    async def _bootstrap(self, lookup: Lookup, token_id: str, secret: str) -> User | None:
        found = await get_or_none(lookup, "", "secrets", "kube-system", f"bootstrap-token-{token_id}")
        if found is None or found.get("type") != BOOTSTRAP_TYPE or found["metadata"].get("deletionTimestamp"):
            return None
        data = _secret_data(found)
        if (
            data.get("token-id") != token_id
            or _digest(data.get("token-secret", "")) != _digest(secret)
            or data.get("usage-bootstrap-authentication") != "true"
            or self._is_over(data.get("expiration", ""))
        ):
            return None
        extra = [group for group in data.get("auth-extra-groups", "").split(",") if group]
        if any(BOOTSTRAP_GROUP.fullmatch(group) is None for group in extra):
            return None
        return User(f"system:bootstrap:{token_id}", ("system:bootstrappers", *extra))

    def _is_over(self, expiration: str) -> bool:
        """A time nobody can read is over."""
        try:
            return bool(expiration) and parse_time(expiration) <= self._clock.wall_s()
        except ValueError:
            return True

    def _peer(self, der: bytes) -> _Peer:
        """What a certificate says. Raises StatusError 401 when it is out of its time: a connection may outlive its certificate."""
        peer = self._peers.get(der)
        if peer is None:
            if len(self._peers) >= CERTIFICATES_REMEMBERED_MAX:
                self._peers.clear()
            try:
                peer = self._peers[der] = self._parse(x509.load_der_x509_certificate(der))
            except ValueError as error:
                raise unauthorized() from error
        if not peer.valid_from_s <= self._clock.wall_s() <= peer.valid_to_s or not peer.is_client:
            raise unauthorized()
        return peer

    def _parse(self, certificate: x509.Certificate) -> _Peer:
        proxy = self._front_proxy
        names = _attributes(certificate, NameOID.COMMON_NAME)
        is_proxy = (
            proxy is not None
            and _issued_by(certificate, proxy.authorities)
            and (not proxy.allowed_names or bool(set(names) & set(proxy.allowed_names)))
        )
        user = None
        # With a front proxy TLS trusts two CAs; whom the proxy's alone signed is no user.
        if names and names[-1] and (proxy is None or _issued_by(certificate, self._client_authorities)):
            uids = _attributes(certificate, UID_ATTRIBUTE)
            extra: dict[str, tuple[str, ...]] = {
                CREDENTIAL_ID: ("X509SHA256=" + hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest(),)
            }
            groups = tuple(_attributes(certificate, NameOID.ORGANIZATION_NAME))
            user = with_authenticated(User(names[-1], groups, uids[0] if uids else "", extra))
        return _Peer(
            certificate.not_valid_before_utc.timestamp(),
            certificate.not_valid_after_utc.timestamp(),
            allows_client_authentication(certificate),
            is_proxy,
            user,
        )

    def _proxied(self, headers: Mapping[str, Sequence[str]]) -> User | None:
        """Whom the front proxy says; None when it says nobody."""
        proxy = self._front_proxy
        assert proxy is not None
        user = next((value for header in proxy.username_headers for value in headers.get(header, ()) if value), "")
        if not user:
            return None
        uid = next((value for header in proxy.uid_headers for value in headers.get(header, ()) if value), "")
        groups = tuple(value for header in proxy.group_headers for value in headers.get(header, ()))
        extra: dict[str, tuple[str, ...]] = {}
        for header, values in headers.items():
            for prefix in proxy.extra_prefixes:
                if header.startswith(prefix):
                    key = urllib.parse.unquote(header.removeprefix(prefix))
                    extra[key] = (*extra.get(key, ()), *values)
        return with_authenticated(User(user, groups, uid, extra))


def with_authenticated(user: User) -> User:
    """The user with the group of everybody who was recognised."""
    if AUTHENTICATED in user.groups or UNAUTHENTICATED in user.groups:
        return user
    return User(user.name, (*user.groups, AUTHENTICATED), user.uid, user.extra)


def allows_client_authentication(certificate: x509.Certificate) -> bool:
    """Whether its extended usages, where it has any, include clients."""
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return ExtendedKeyUsageOID.CLIENT_AUTH in usages or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usages


def _issued_by(certificate: x509.Certificate, authorities: Sequence[x509.Certificate]) -> bool:
    for authority in authorities:
        try:
            certificate.verify_directly_issued_by(authority)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return True
    return False


def _attributes(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> list[str]:
    values = [attribute.value for attribute in certificate.subject.get_attributes_for_oid(oid)]
    return [value if isinstance(value, str) else value.decode("utf-8", "replace") for value in values]


def _bearer(authorization: str) -> str | None:
    """The token of a bearer header; None when the header is none: another scheme, or no token behind one space."""
    scheme, *rest = authorization.strip().split(" ", 2)
    return rest[0] if rest and rest[0] and scheme.lower() == "bearer" else None


def _secret_data(secret: Object) -> dict[str, str]:
    data = {}
    for name, value in (secret.get("data") or {}).items():
        try:
            data[name] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return data
