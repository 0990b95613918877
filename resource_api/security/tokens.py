"""Service account tokens: issued, verified against the account they were issued for, and the documents that let others verify them.

The key pair is made at the first start and kept in a file; more public keys may be given to verify with. A token dies with its service
account and with the object it is bound to. Source: spec D.2; claims as kube-apiserver writes them.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from raftkv.clock import Clock
from resource_api.errors import FieldError, Object, bad_request, conflict, invalid, invalid_object, not_found
from resource_api.registry.requests import User
from resource_api.registry.stamps import new_uid
from resource_api.schema.times import parse_time, rfc3339

DEFAULT_ISSUER = "https://kubernetes.default.svc.cluster.local"
EXPIRATION_DEFAULT_S = 3600
EXPIRATION_MIN_S = 600
EXPIRATION_MAX_S = 1 << 32
POD_EXPIRATION_S = 3607
"""What the ServiceAccount plugin asks for in pods; such tokens live for `EXTENDED_S`, and old clients are warned after this time."""
EXTENDED_S = 365 * 24 * 3600
DELETION_LEEWAY_S = 60
"""How long a token outlives the deletion of what it is bound to, while that is still there."""
VERIFIED_REMEMBERED_MAX = 4096
"""Tokens whose signature was found right; at the bound all are forgotten."""

PREFIX = "authentication.kubernetes.io/"

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

ObjectLookup = Callable[[str, str, str], Awaitable[Object | None]]
"""(plural of the core group, namespace, name) -> the object or None."""

KINDS = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}
"""What a token can be bound to."""


class TokenError(Exception):
    """Why a token is not accepted; clients are told 401 and no more."""


class Verified(NamedTuple):
    """Whose token it is, and for which of the audiences asked for."""

    user: User
    audiences: tuple[str, ...]


def new_key() -> bytes:
    """A fresh private key (P-256), PEM."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def load_private_key(pem: bytes) -> PrivateKey:
    """Raises ValueError."""
    key = load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError("a service account key is RSA or ECDSA")
    return key


def load_public_key(pem: bytes) -> PublicKey:
    """Of a file with either half of the pair. Raises ValueError."""
    key = load_private_key(pem).public_key() if b"PRIVATE KEY" in pem else load_pem_public_key(pem)
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise ValueError("a service account key is RSA or ECDSA")
    return key


def algorithm(key: PublicKey) -> str:
    """The only one a key may be used with. Raises ValueError."""
    if isinstance(key, rsa.RSAPublicKey):
        return "RS256"
    names = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
    if key.curve.name not in names:
        raise ValueError(f"tokens cannot be signed with a key on {key.curve.name}")
    return names[key.curve.name]


def key_id(key: PublicKey) -> str:
    """The hash of the public key."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


class TokenIssuer:
    """See the module.

    Invariants: 1. a key verifies with one algorithm, whatever a token says; 2. nothing is accepted that was not looked up just now.
    """

    def __init__(
        self,
        clock: Clock,
        private_key: PrivateKey,
        lookup: ObjectLookup,
        *,
        issuer: str = DEFAULT_ISSUER,
        api_audiences: Sequence[str] = (),
        public_keys: Sequence[PublicKey] = (),
        expiration_max_s: int = 0,
        extend: bool = True,
    ) -> None:
        self._clock = clock
        self._key = private_key
        self._lookup = lookup
        self.issuer = issuer
        self.api_audiences = tuple(api_audiences) or (issuer,)
        self._expiration_max_s = expiration_max_s
        self._extend = extend
        self._public = {key_id(key): key for key in (private_key.public_key(), *public_keys)}
        self._verified: dict[bytes, Object] = {}

    # Issuing.

    async def request(self, namespace: str, name: str, review: Object) -> Object:
        """POST to `serviceaccounts/NAME/token`: a TokenRequest with its status. Raises StatusError; 404 when there is no such account."""
        account = await self._account(namespace, name)
        metadata, spec = dict(review.get("metadata") or {}), dict(review.get("spec") or {})
        for field, wanted in (("name", name), ("namespace", namespace)):
            if not metadata.get(field):
                metadata[field] = wanted
            if metadata[field] != wanted:
                problem = invalid(f"metadata.{field}", metadata[field], f"must match the service account {field} if specified")
                raise invalid_object("authentication.k8s.io", "TokenRequest", name, [problem])
        audiences = spec["audiences"] = list(spec.get("audiences") or self.api_audiences)
        expires_s = spec["expirationSeconds"] = spec.get("expirationSeconds") or EXPIRATION_DEFAULT_S
        problems = _expiration_problems(expires_s)
        if problems:
            raise invalid_object("authentication.k8s.io", "TokenRequest", "", problems)
        if self._expiration_max_s:
            expires_s = min(expires_s, self._expiration_max_s)
        bound = await self._bound(account, spec.get("boundObjectRef"))
        spec.setdefault("boundObjectRef", None)  # As Go writes a pointer without omitempty.
        now_s = int(self._clock.wall_s())
        token = self._issue(account, audiences, bound, now_s, expires_s)
        metadata.setdefault("creationTimestamp", rfc3339(now_s))
        status = {"token": token, "expirationTimestamp": rfc3339(now_s + expires_s)}
        return {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": metadata, "spec": spec, "status": status}

    async def _account(self, namespace: str, name: str) -> Object:
        account = await self._lookup("serviceaccounts", namespace, name)
        if account is None:
            raise not_found("", "serviceaccounts", name)
        return account

    async def _bound(self, account: Object, reference: Object | None) -> Object:
        """The claims of the object a token is to be bound to."""
        if not reference:
            return {}
        kind, name, version = reference.get("kind", ""), reference.get("name", ""), reference.get("apiVersion", "")
        if kind not in KINDS or version != "v1":
            group, _, short = version.rpartition("/")
            raise bad_request(f"cannot bind token to object of type {group}/{short}, Kind={kind}")
        namespace, account_name = account["metadata"]["namespace"], account["metadata"]["name"]
        found = await self._lookup(KINDS[kind], "" if kind == "Node" else namespace, name)
        if found is None:
            raise not_found("", KINDS[kind], name)
        uid = found["metadata"]["uid"]
        claims: Object = {kind.lower(): {"name": name, "uid": uid}}
        if kind == "Pod":
            runs_as = (found.get("spec") or {}).get("serviceAccountName", "")
            if runs_as != account_name:
                raise bad_request(
                    f'cannot bind token for serviceaccount "{account_name}" to pod running with different serviceaccount name.'
                )
            node_name = (found.get("spec") or {}).get("nodeName")
            if node_name:
                node = await self._lookup("nodes", "", node_name)
                claims["node"] = {"name": node_name, **({"uid": node["metadata"]["uid"]} if node is not None else {})}
        wanted = reference.get("uid")
        if wanted and wanted != uid:
            text = (
                f"the UID in the bound object reference ({wanted}) does not match the UID in record. "
                "The object might have been deleted and then recreated"
            )
            raise conflict("", kind, name, text)
        return claims

    def _issue(self, account: Object, audiences: Sequence[str], bound: Object, now_s: int, expires_s: int) -> str:
        metadata = account["metadata"]
        private: Object = {
            "namespace": metadata["namespace"],
            "serviceaccount": {"name": metadata["name"], "uid": metadata["uid"]},
            **bound,
        }
        lives_s = expires_s
        if self._extend and expires_s == POD_EXPIRATION_S and "pod" in bound and set(audiences) <= set(self.api_audiences):
            lives_s = EXTENDED_S
            private["warnafter"] = now_s + expires_s
        claims: dict[str, Any] = {
            "aud": list(audiences),
            "exp": now_s + lives_s,
            "iat": now_s,
            "iss": self.issuer,
            "jti": new_uid(self._clock),
            "kubernetes.io": private,
            "nbf": now_s,
            "sub": f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}",
        }
        public = self._key.public_key()
        return jwt.encode(claims, self._key, algorithm=algorithm(public), headers={"kid": key_id(public)})

    # Verifying.

    async def verify(self, token: str, audiences: Sequence[str] = ()) -> Verified:
        """Whose token it is. Raises TokenError; without audiences one of the server's own must be in it."""
        claims = self._claims(token)
        shared = tuple(one for one in audiences or self.api_audiences if one in claims["aud"])
        if not shared:
            raise TokenError(f"token audiences {claims['aud']} are none of {list(audiences or self.api_audiences)}")
        private = claims["kubernetes.io"]
        namespace, account = private["namespace"], private["serviceaccount"]
        if claims["sub"] != f"system:serviceaccount:{namespace}:{account['name']}":
            raise TokenError("the subject is not the service account")
        await self._still_there("serviceaccounts", namespace, account)
        extra: dict[str, tuple[str, ...]] = {PREFIX + "credential-id": (f"JTI={claims['jti']}",)} if claims.get("jti") else {}
        for kind in ("pod", "secret", "node"):
            bound = private.get(kind)
            if bound is None:
                continue
            if kind != "node" or "pod" not in private:
                # The node of a pod is told, not checked: the pod's own life counts.
                await self._still_there(KINDS[kind.capitalize()], "" if kind == "node" else namespace, bound)
            if kind != "secret":
                extra[f"{PREFIX}{kind}-name"] = (bound["name"],)
                if bound.get("uid"):
                    extra[f"{PREFIX}{kind}-uid"] = (bound["uid"],)
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
        return Verified(User(claims["sub"], groups, account["uid"], extra), shared)

    def _claims(self, token: str) -> Object:
        """The claims of a token that is signed by one of the keys and within its time."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        claims = self._verified.get(digest)
        if claims is None:
            claims = self._decode(token)
            if len(self._verified) >= VERIFIED_REMEMBERED_MAX:
                self._verified.clear()
            self._verified[digest] = claims
        now_s = self._clock.wall_s()
        if now_s >= claims["exp"] or now_s < claims["nbf"]:
            raise TokenError("the token is out of its time")
        return claims

    def _decode(self, token: str) -> Object:
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            keys = [self._public[kid]] if kid in self._public else [] if kid else list(self._public.values())
        except (jwt.PyJWTError, TypeError, ValueError, RecursionError) as error:
            raise TokenError(str(error)) from error
        # Times are compared with the server's clock, below; audiences with what each caller asks.
        checks: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
        for key in keys:
            try:
                claims = jwt.decode(token, key, algorithms=[algorithm(key)], issuer=self.issuer, options=checks)
            except jwt.InvalidSignatureError:
                continue
            except (jwt.PyJWTError, ValueError, RecursionError) as error:
                raise TokenError(str(error)) from error
            return _checked(claims)
        raise TokenError("no key of this server signed the token")

    async def _still_there(self, plural: str, namespace: str, said: Object) -> None:
        found = await self._lookup(plural, namespace, said["name"])
        if found is None or (said.get("uid") and found["metadata"].get("uid") != said["uid"]):
            raise TokenError(f"{plural} {said['name']} is gone")
        deleted = found["metadata"].get("deletionTimestamp")
        if deleted and parse_time(deleted) + DELETION_LEEWAY_S < self._clock.wall_s():
            raise TokenError(f"{plural} {said['name']} is deleted")

    # What others verify with.

    def openid_configuration(self, jwks_uri: str) -> Object:
        """`/.well-known/openid-configuration`."""
        return {
            "issuer": self.issuer,
            "jwks_uri": jwks_uri,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": sorted({algorithm(key) for key in self._public.values()}),
        }

    def jwks(self) -> Object:
        """`/openid/v1/jwks`."""
        return {"keys": [_as_jwk(kid, key) for kid, key in self._public.items()]}


def _expiration_problems(expires_s: Any) -> list[FieldError]:
    if not isinstance(expires_s, int) or expires_s < EXPIRATION_MIN_S:
        return [invalid("spec.expirationSeconds", expires_s, "may not specify a duration less than 10 minutes")]
    if expires_s > EXPIRATION_MAX_S:
        return [invalid("spec.expirationSeconds", expires_s, "may not specify a duration larger than 2^32 seconds")]
    return []


def _checked(claims: Object) -> Object:
    """The claims in the shapes the rest relies on. Raises TokenError."""
    private = claims.get("kubernetes.io")
    if isinstance(claims.get("aud"), str):
        claims["aud"] = [claims["aud"]]
    good = (
        isinstance(private, dict)
        and isinstance(private.get("namespace"), str)
        and all(
            isinstance(private.get(kind, {}), dict) and (kind not in private or isinstance(private[kind].get("name"), str))
            for kind in ("serviceaccount", "pod", "secret", "node")
        )
        and "uid" in private.get("serviceaccount", {})
        and isinstance(claims.get("aud"), list)
        and all(isinstance(claims.get(time), int | float) for time in ("exp", "nbf"))
        and isinstance(claims.get("sub"), str)
    )
    if not good:
        raise TokenError("the token is not one of a service account")
    return claims


def _as_jwk(kid: str, key: PublicKey) -> Object:
    def number(value: int, size_bytes: int) -> str:
        return base64.urlsafe_b64encode(value.to_bytes(size_bytes, "big")).rstrip(b"=").decode()

    jwk: Object = {"use": "sig", "kid": kid, "alg": algorithm(key)}
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        modulus, exponent = ((value, (value.bit_length() + 7) // 8) for value in (numbers.n, numbers.e))
        return {**jwk, "kty": "RSA", "n": number(*modulus), "e": number(*exponent)}
    point, size_bytes = key.public_numbers(), (key.key_size + 7) // 8
    curve = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[algorithm(key)]
    return {**jwk, "kty": "EC", "crv": curve, "x": number(point.x, size_bytes), "y": number(point.y, size_bytes)}
