"""DefaultStorageClass, PersistentVolumeClaimResize and StorageObjectInUseProtection: what claims and volumes need of storage classes."""

from __future__ import annotations

from resource_api.registry.admission import AdmissionRequest
from resource_api.schema.quantity import amount
from resource_api.security.admission.plugin import PassivePlugin, annotation, is_write_of, newest, refused, spec_of
from resource_api.security.lookup import Lookup, cached, cached_or_newest

GROUP, PLURAL = "storage.k8s.io", "storageclasses"
IS_DEFAULT = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
OLD_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


class DefaultStorageClass(PassivePlugin):
    """A claim that names no class gets the default one, the newest when there are several; `""` is a name."""

    name = "DefaultStorageClass"

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def handles(self, request: AdmissionRequest) -> bool:
        """New claims."""
        return is_write_of(request, "", "persistentvolumeclaims", "CREATE")

    async def admit(self, request: AdmissionRequest) -> None:
        """Names the class."""
        assert request.obj is not None
        spec = spec_of(request)
        if spec.get("storageClassName") is not None or annotation(request.obj, OLD_ANNOTATION) is not None:
            return
        classes = cached(self._lookup, GROUP, PLURAL)
        found = newest([one for one in classes if any(annotation(one, name) == "true" for name in IS_DEFAULT)])
        if found is not None:
            spec["storageClassName"] = found["metadata"]["name"]


class PersistentVolumeClaimResize(PassivePlugin):
    """A claim grows only when it is bound and its class allows it."""

    name = "PersistentVolumeClaimResize"

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def handles(self, request: AdmissionRequest) -> bool:
        """Changed claims."""
        return is_write_of(request, "", "persistentvolumeclaims", "UPDATE")

    async def validate(self, request: AdmissionRequest) -> None:
        """Raises 403."""
        assert request.obj is not None and request.old is not None
        old, new = (
            amount((((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}).get("storage", "0"))
            for claim in (request.old, request.obj)
        )
        if new <= old:
            return
        if (request.old.get("status") or {}).get("phase") != "Bound":
            raise refused(request, "Only bound persistent volume claims can be expanded")
        name = annotation(request.obj, OLD_ANNOTATION) or (request.obj.get("spec") or {}).get("storageClassName") or ""
        found = await cached_or_newest(self._lookup, GROUP, PLURAL, "", name) if name else None
        if found is None or not found.get("allowVolumeExpansion"):
            raise refused(
                request,
                "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
            )


class StorageObjectInUseProtection(PassivePlugin):
    """Claims and volumes get finalizers that a controller removes when nothing uses them.

    Off unless it is asked for: kube-controller-manager removes them, and beside a lone server no claim would ever go away.
    """

    name = "StorageObjectInUseProtection"

    FINALIZERS = {"persistentvolumeclaims": "kubernetes.io/pvc-protection", "persistentvolumes": "kubernetes.io/pv-protection"}

    def handles(self, request: AdmissionRequest) -> bool:
        """New claims and volumes."""
        return any(is_write_of(request, "", plural, "CREATE") for plural in self.FINALIZERS)

    async def admit(self, request: AdmissionRequest) -> None:
        """Adds the finalizer once."""
        assert request.obj is not None
        finalizer, metadata = self.FINALIZERS[request.type.plural], request.obj["metadata"]
        if finalizer not in (metadata.get("finalizers") or ()):
            metadata["finalizers"] = [*(metadata.get("finalizers") or ()), finalizer]
