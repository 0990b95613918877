"""ServiceAccount: every pod runs as an account that exists and gets its token as a projected volume."""

from __future__ import annotations

from collections.abc import Callable

from raftkv.clock import Clock
from resource_api.errors import Object
from resource_api.registry.admission import AdmissionRequest
from resource_api.registry.stamps import generated_name
from resource_api.security.admission.mountable_secrets import ephemeral_fault_of, fault_of, is_enforced
from resource_api.security.admission.plugin import PassivePlugin, annotation, is_write_of, refused, spec_of
from resource_api.security.lookup import Lookup, cached_or_newest

MIRROR = "kubernetes.io/config.mirror"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX = "kube-api-access-"
TOKEN_EXPIRATION_S = 3607
"""An odd number of seconds: by it the issuer knows the tokens it may extend."""
MODE = 0o644
DEFAULT = "default"
DEFAULT_WAIT_S = 1.8
"""How long a pod waits for its namespace's account `default`: as long as upstream, which looks again nine times, up to 200 ms apart."""


class ServiceAccount(PassivePlugin):
    """Left out of the plugins where pods are to run without accounts, as envtest has it."""

    name = "ServiceAccount"

    def __init__(self, lookup: Lookup, clock: Clock) -> None:
        self._lookup = lookup
        self._clock = clock

    def handles(self, request: AdmissionRequest) -> bool:
        """New pods, and containers that are added to running ones."""
        return is_write_of(request, "", "pods", "CREATE") or self._adds_containers(request)

    def _adds_containers(self, request: AdmissionRequest) -> bool:
        return is_write_of(request, "", "pods", "UPDATE", subresource="ephemeralcontainers")

    async def admit(self, request: AdmissionRequest) -> None:
        """Names the account, mounts its token, copies its pull secrets."""
        assert request.obj is not None
        if self._adds_containers(request) or annotation(request.obj, MIRROR) is not None:
            return
        spec = spec_of(request)
        name = spec.get("serviceAccountName") or DEFAULT
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = await self._account(request, name)
        wanted = spec.get("automountServiceAccountToken")
        if wanted is None:
            wanted = account.get("automountServiceAccountToken")
        if wanted is not False:
            self._mount_token(spec)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [dict(secret) for secret in account["imagePullSecrets"]]

    async def validate(self, request: AdmissionRequest) -> None:
        """Mirror pods have no account; others have one that exists, and use its secrets only where it says so."""
        assert request.obj is not None
        spec = request.obj.get("spec") or {}
        adds = self._adds_containers(request)
        if adds or annotation(request.obj, MIRROR) is None:
            await self._own_secrets(request, spec, ephemeral_fault_of if adds else fault_of)
            return
        if spec.get("serviceAccountName"):
            raise refused(request, "a mirror pod may not reference service accounts")
        for volume in spec.get("volumes") or ():
            sources = (volume.get("projected") or {}).get("sources") or ()
            if "secret" in volume:
                raise refused(request, "a mirror pod may not reference secrets")
            if any("serviceAccountToken" in source for source in sources):
                raise refused(request, "a mirror pod may not use ServiceAccountToken volume projections")

    async def _own_secrets(self, request: AdmissionRequest, spec: Object, fault: Callable[[Object, Object], str]) -> None:
        name = str(spec.get("serviceAccountName") or "")
        if not name:
            raise refused(request, f"no service account specified for pod {request.namespace}/{request.name}")
        account = await self._account(request, name)
        if is_enforced(account) and (text := fault(account, spec)):
            raise refused(request, text)

    async def _account(self, request: AdmissionRequest, name: str) -> Object:
        found = await cached_or_newest(self._lookup, "", "serviceaccounts", request.namespace, name)
        if found is None and name == DEFAULT:
            # Made by a controller once there is the namespace, which may have been a moment ago.
            item = await self._lookup.wait_for("", "serviceaccounts", request.namespace, name, DEFAULT_WAIT_S)
            found = item.object() if item is not None else None
        if found is None:
            detail = f'error looking up service account {request.namespace}/{name}: serviceaccount "{name}" not found'
            raise refused(request, detail)
        return found

    def _mount_token(self, spec: Object) -> None:
        bare = [
            container
            for field in ("initContainers", "containers")
            for container in spec.get(field) or ()
            if all(mount.get("mountPath") != MOUNT_PATH for mount in container.get("volumeMounts") or ())
        ]
        if not bare:
            return
        volumes = list(spec.get("volumes") or ())
        name = next((volume["name"] for volume in volumes if str(volume.get("name", "")).startswith(VOLUME_PREFIX)), "")
        if not name:
            name = generated_name(VOLUME_PREFIX, self._clock)
            spec["volumes"] = [*volumes, {"name": name, "projected": token_projection()}]
        for container in bare:
            mount = {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}
            container["volumeMounts"] = [*(container.get("volumeMounts") or ()), mount]


def token_projection() -> Object:
    """Token, CA and namespace, as every pod finds them."""
    field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    return {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": TOKEN_EXPIRATION_S, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field}]}},
        ],
        "defaultMode": MODE,
    }
