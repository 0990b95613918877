"""Which secrets a pod may use when its service account says so by the annotation `kubernetes.io/enforce-mountable-secrets`.

Looked at, as upstream does: secret volumes, `env` and `envFrom` of every container, pull secrets. Projected volumes are not: the annotation
is deprecated, and its gaps are its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from resource_api.errors import Object
from resource_api.security.admission.plugin import annotation

ENFORCE = "kubernetes.io/enforce-mountable-secrets"
TRUE = ("1", "t", "T", "TRUE", "true", "True")
"""What Go's parser of booleans takes for true."""


def is_enforced(account: Object) -> bool:
    """Whether the account's list of secrets is all its pods may use."""
    return annotation(account, ENFORCE) in TRUE


def fault_of(account: Object, spec: Object) -> str:
    """Why a new pod may not have what it asks for; empty when it may."""
    allowed, name = _names(account.get("secrets")), account["metadata"]["name"]
    denied = f"is not allowed because service account {name} does not reference that secret"
    for volume in spec.get("volumes") or ():
        if volume.get("secret") is not None and volume["secret"].get("secretName") not in allowed:
            return f'volume with secret.secretName="{volume["secret"].get("secretName", "")}" {denied}'
    for word, field in (("init container", "initContainers"), ("container", "containers")):
        for use, secret in _uses(spec.get(field), word):
            if secret not in allowed:
                return f'{use} referencing secret.secretName="{secret}" {denied}'
    pulls = _names(account.get("imagePullSecrets"))
    for index, reference in enumerate(spec.get("imagePullSecrets") or ()):
        if reference.get("name") not in pulls:
            text = f"is not allowed because service account {name} does not reference that imagePullSecret"
            return f'imagePullSecrets[{index}].name="{reference.get("name", "")}" {text}'
    return ""


def ephemeral_fault_of(account: Object, spec: Object) -> str:
    """The same for the containers that are added to a running pod."""
    allowed = _names(account.get("secrets"))
    for use, secret in _uses(spec.get("ephemeralContainers"), "ephemeral container"):
        if secret not in allowed:
            denied = f"is not allowed because service account {account['metadata']['name']} does not reference that secret"
            return f'{use} referencing secret.secretName="{secret}" {denied}'
    return ""


def _names(references: Iterable[Object] | None) -> set[str]:
    return {str(one.get("name")) for one in references or ()}


def _uses(containers: Iterable[Object] | None, word: str) -> Iterator[tuple[str, str]]:
    """Every secret in the environment of containers, after the place it stands in."""
    for container in containers or ():
        for variable in container.get("env") or ():
            reference = (variable.get("valueFrom") or {}).get("secretKeyRef")
            if reference is not None:
                yield f"{word} {container['name']} with envVar {variable['name']}", reference.get("name", "")
        for source in container.get("envFrom") or ():
            if source.get("secretRef") is not None:
                yield f"{word} {container['name']} with envFrom", source["secretRef"].get("name", "")
