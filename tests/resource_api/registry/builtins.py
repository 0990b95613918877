"""Built-in objects for tests: a valid one of every kind, put through what the write pipeline does before it stores."""

from __future__ import annotations

import base64
import copy
import functools
import pathlib
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from resource_api.errors import Object
from resource_api.registry.builtin import builtin_models
from resource_api.registry.model import Model
from resource_api.registry.requests import Context, User
from resource_api.schema.metadata import validate_metadata

HERE = pathlib.Path(__file__).parent
UID = "6d5e5b0e-7d1b-4a58-9b0a-0c6f7d1f0001"
NOW = "2026-01-02T03:04:05Z"
CONTEXT = Context(User("jane", ("devs",), "u-1", {"team": ("a",)}), namespace="default", now=NOW)


@functools.cache
def signing_request() -> str:
    """A certificate request in PEM, in base64."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "jane")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()


@functools.cache
def _objects() -> list[Object]:
    text = (HERE / "builtin_objects.yaml").read_text().replace("request: CSR", f"request: {signing_request()}")
    found: list[Object] = yaml.safe_load(text)
    return found


def objects() -> list[Object]:
    """One of each kind, as a user wrote it."""
    return copy.deepcopy(_objects())


def object_of(kind: str, api_version: str = "") -> Object:
    """The one of that kind."""
    return next(one for one in objects() if one["kind"] == kind and api_version in ("", one["apiVersion"]))


def model_of(obj: Object) -> Model:
    """The model of an object's kind."""
    group, _, version = str(obj["apiVersion"]).rpartition("/")
    return next(model for (a, b, _), model in builtin_models().items() if (a, b) == (group, version) and model.type.kind == obj["kind"])


def prepared(obj: Object) -> Object:
    """Decoded, defaulted and prepared for creation."""
    model = model_of(obj)
    assert model.prune(obj) == []
    model.default(obj)
    if model.type.namespaced:
        obj["metadata"].setdefault("namespace", "default")
    obj["metadata"].setdefault("uid", UID)
    model.strategy.prepare_create(CONTEXT, obj)
    return obj


def faults(obj: Object, old: Object | None = None, subresource: str = "") -> list[str]:
    """Everything wrong with it, as text."""
    model = model_of(obj)
    found = validate_metadata(obj, old, namespaced=model.type.namespaced, check_name=model.check_name)
    return [str(error) for error in found + model.validate(obj, old, subresource)]


def updated(old: Object, change: Any, subresource: str = "") -> tuple[Object, list[str]]:
    """The object after a merge of `change`, prepared for update, and what is wrong with it."""
    model = model_of(old)
    new = merged(copy.deepcopy(old), change)
    model.prune(new)
    model.default(new)
    if subresource:
        model.strategy.prepare_subresource(CONTEXT, subresource, new, old)
    else:
        model.strategy.prepare_update(CONTEXT, new, old)
    return new, faults(new, old, subresource)


def merged(target: Any, patch: Any) -> Any:
    """A JSON merge patch, naively."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result
