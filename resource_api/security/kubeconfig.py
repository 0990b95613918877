"""The kubeconfig that is written for the administrator: one cluster, one user, one context, everything inline, mode 0600."""

from __future__ import annotations

import base64
import hashlib
import pathlib

import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from resource_api.errors import Object
from resource_api.security.certificates import Pair
from resource_api.security.files import write_private


def new_admin_token() -> str:
    """A secret of 256 bits.

    It comes from the generator of private keys: the clock's one makes uids that everybody sees, and enough of those give its state away.
    """
    secret = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    return base64.urlsafe_b64encode(hashlib.sha256(b"admin token" + secret.to_bytes(32, "big")).digest()).rstrip(b"=").decode()


def kubeconfig(
    server: str, authority_pem: bytes | None, *, admin: Pair | None = None, token: str = "", name: str = "resource-api", user: str = ""
) -> Object:
    """A Config object. Without an authority the server is plain HTTP; the user has a certificate, a token, or both."""
    cluster: Object = {"server": server}
    if authority_pem is not None:
        cluster["certificate-authority-data"] = base64.b64encode(authority_pem).decode()
    who: Object = {}
    if admin is not None:
        who["client-certificate-data"] = base64.b64encode(admin.certificate_pem).decode()
        who["client-key-data"] = base64.b64encode(admin.key_pem).decode()
    if token:
        who["token"] = token
    user = user or f"{name}-admin"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": user, "user": who}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
        "preferences": {},
    }


def write_kubeconfig(path: pathlib.Path, config: Object) -> None:
    """Replaces the file in one step."""
    write_private(path, yaml.safe_dump(config, sort_keys=False).encode())
