"""Service account tokens in Secrets of type `kubernetes.io/service-account-token`: without an end, as long as the Secret has them.

Nobody should want one; programs written before TokenRequest do. Source: upstream's `pkg/serviceaccount/legacy.go`.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import jwt

from resource_api.errors import Object
from resource_api.registry.requests import User
from resource_api.security.tokens import ObjectLookup, PrivateKey, PublicKey, TokenError, algorithm, key_id

ISSUER = "kubernetes/serviceaccount"
PREFIX = "kubernetes.io/serviceaccount/"
SECRET_TYPE = "kubernetes.io/service-account-token"  # a type, no secret
ACCOUNT_NAME = "kubernetes.io/service-account.name"
ACCOUNT_UID = "kubernetes.io/service-account.uid"


class LegacyTokens:
    """Issues and verifies them. Invariant: a token counts only while the Secret it names still has this very token."""

    def __init__(self, private_key: PrivateKey, lookup: ObjectLookup, public_keys: Sequence[PublicKey] = ()) -> None:
        self._key = private_key
        self._lookup = lookup
        self._public = {key_id(key): key for key in (private_key.public_key(), *public_keys)}

    def issue(self, account: Object, secret_name: str) -> str:
        """The token of an account for the Secret that will have it."""
        metadata = account["metadata"]
        claims: dict[str, Any] = {
            "iss": ISSUER,
            PREFIX + "namespace": metadata["namespace"],
            PREFIX + "secret.name": secret_name,
            PREFIX + "service-account.name": metadata["name"],
            PREFIX + "service-account.uid": metadata["uid"],
            "sub": f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}",
        }
        public = self._key.public_key()
        return jwt.encode(claims, self._key, algorithm=algorithm(public), headers={"kid": key_id(public)})

    async def verify(self, token: str) -> User:
        """Whose it is. Raises TokenError."""
        claims = self._claims(token)
        namespace, secret_name, name, uid = (
            claims.get(PREFIX + part) for part in ("namespace", "secret.name", "service-account.name", "service-account.uid")
        )
        if not all(isinstance(one, str) and one for one in (namespace, secret_name, name, uid)):
            raise TokenError("the token does not say whose it is")
        if claims.get("sub") != f"system:serviceaccount:{namespace}:{name}":
            raise TokenError("the subject is not the service account")
        secret = await self._lookup("secrets", str(namespace), str(secret_name))
        held = ((secret or {}).get("data") or {}).get("token", "")
        if secret is None or secret["metadata"].get("deletionTimestamp") or held != base64.b64encode(token.encode()).decode():
            raise TokenError(f"secret {secret_name} does not have this token")
        account = await self._lookup("serviceaccounts", str(namespace), str(name))
        if account is None or account["metadata"].get("deletionTimestamp") or account["metadata"]["uid"] != uid:
            raise TokenError(f"service account {name} is gone")
        return User(claims["sub"], ("system:serviceaccounts", f"system:serviceaccounts:{namespace}"), str(uid))

    def _claims(self, token: str) -> Object:
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            keys = [self._public[kid]] if kid in self._public else [] if kid else list(self._public.values())
            for key in keys:
                try:
                    claims: Object = jwt.decode(token, key, algorithms=[algorithm(key)], issuer=ISSUER, options={"verify_aud": False})
                except jwt.InvalidSignatureError:
                    continue
                return claims
        except (jwt.PyJWTError, TypeError, ValueError, RecursionError) as error:
            raise TokenError(str(error)) from error
        raise TokenError("no key of this server signed the token")
