"""Rules of persistent volumes and claims, StorageClasses and what belongs to CSI drivers.

Sources: `pkg/apis/core/validation/validation.go`, `pkg/apis/storage/validation/validation.go`.
"""

from __future__ import annotations

from resource_api.errors import Json, Object, duplicate, forbidden_field, invalid, not_supported, required, too_long
from resource_api.schema import names
from resource_api.schema.quantity import amount
from resource_api.schema.validation.pod import node_selector
from resource_api.schema.validation.rules import Problems, each, immutable, needed, one_of, part, structs
from resource_api.schema.validation.volume import access_modes, claim_spec, quantity_positive, source_rules

_NOT_A_SOURCE = frozenset({"capacity", "claimRef", "nodeAffinity"})
CLAIM_FIXED = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
DRIVER_NAME_MAX = 63


def _source(spec: Object) -> dict[str, Json]:
    return {name: value for name, value in spec.items() if isinstance(value, dict) and name not in _NOT_A_SOURCE}


def validate_volume(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A PersistentVolume."""
    if subresource == "status":
        return []
    spec = part(obj, "spec")
    problems: Problems = []
    if not spec.get("accessModes"):
        problems.append(required("spec.accessModes"))
    problems += access_modes(spec.get("accessModes") or [], "spec.accessModes")
    capacity = part(spec, "capacity")
    if not capacity:
        problems.append(required("spec.capacity"))
    elif "storage" not in capacity or len(capacity) > 1:
        problems.append(not_supported("spec.capacity", capacity, ["storage"]))
    for name, value in capacity.items():
        problems += quantity_positive(value, f"spec.capacity[{name}]")
    policies = ("Delete", "Recycle", "Retain")
    problems += one_of(spec.get("persistentVolumeReclaimPolicy"), "spec.persistentVolumeReclaimPolicy", policies, optional=True)
    sources = _source(spec)
    if not sources:
        problems.append(required("spec", "must specify a volume type"))
    for index, (name, source) in enumerate(sources.items()):
        if index:
            problems.append(forbidden_field(f"spec.{name}", "may not specify more than 1 volume type"))
        else:
            problems += source_rules(name, source, f"spec.{name}")
    affinity = part(spec, "nodeAffinity")
    if "local" in sources and not affinity:
        problems.append(required("spec.nodeAffinity", "Local volume requires node affinity"))
    if affinity:
        if affinity.get("required") is None:
            problems.append(required("spec.nodeAffinity.required", "must specify required node constraints"))
        else:
            problems += node_selector(part(affinity, "required"), "spec.nodeAffinity.required")
    if spec.get("storageClassName"):
        problems += each("spec.storageClassName", spec["storageClassName"], names.dns_subdomain(spec["storageClassName"]))
    problems += one_of(spec.get("volumeMode"), "spec.volumeMode", ("Block", "Filesystem"), optional=True)
    return problems + (_volume_change(spec, part(old, "spec")) if old is not None else [])


def _volume_change(spec: Object, old: Object) -> Problems:
    problems: Problems = []
    if _source(spec) != _source(old):
        text = "spec.persistentvolumesource is immutable after creation"
        problems.append(forbidden_field("spec.persistentvolumesource", text))
    problems += immutable(spec.get("volumeMode"), old.get("volumeMode"), "spec.volumeMode")
    if old.get("nodeAffinity"):
        problems += immutable(spec.get("nodeAffinity"), old.get("nodeAffinity"), "spec.nodeAffinity")
    return problems


def validate_claim(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A PersistentVolumeClaim: bound, it only grows."""
    if subresource == "status":
        if old is not None and not part(obj, "spec").get("resources"):
            return [required("spec.resources")]
        return []
    spec = part(obj, "spec")
    problems = claim_spec(spec, "spec")
    return problems + (_claim_change(spec, part(old, "spec"), part(old, "status")) if old is not None else [])


def _claim_change(spec: Object, old: Object, status: Object) -> Problems:
    problems: Problems = []
    new, before = dict(spec), dict(old)
    if not before.get("volumeName"):
        # Binding names the volume, and a class may be given to a claim that has none.
        new.pop("volumeName", None)
        if before.get("storageClassName") is None:
            new.pop("storageClassName", None)
    bound = status.get("phase") == "Bound"
    if bound:
        for field in ("resources", "volumeAttributesClassName"):
            new.pop(field, None)
            before.pop(field, None)
        wanted = part(part(spec, "resources"), "requests").get("storage", "0")
        had = part(part(old, "resources"), "requests").get("storage", "0")
        reached = part(status, "capacity").get("storage", had)
        if amount(wanted) < amount(had) and amount(wanted) <= amount(reached):
            problems.append(forbidden_field("spec.resources.requests.storage", "field can not be less than status.capacity"))
    if {name: value for name, value in new.items() if value} != {name: value for name, value in before.items() if value}:
        problems.append(forbidden_field("spec", CLAIM_FIXED))
    return problems + immutable(spec.get("volumeMode"), old.get("volumeMode"), "spec.volumeMode")


def validate_storage_class(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A StorageClass."""
    problems: Problems = []
    if old is not None:
        for field in ("parameters", "provisioner", "reclaimPolicy"):
            if (obj.get(field) or None) != (old.get(field) or None):
                problems.append(forbidden_field(field, f"updates to {field} are forbidden."))
        problems += immutable(obj.get("volumeBindingMode"), old.get("volumeBindingMode"), "volumeBindingMode")
    provisioner = obj.get("provisioner") or ""
    if not provisioner:
        problems.append(required("provisioner", ""))
    else:
        problems += each("provisioner", provisioner, names.qualified_name(provisioner.lower()))
    problems += one_of(obj.get("reclaimPolicy"), "reclaimPolicy", ("Delete", "Retain"), optional=True)
    mode = obj.get("volumeBindingMode")
    problems += (
        [required("volumeBindingMode")] if mode is None else one_of(mode, "volumeBindingMode", ("Immediate", "WaitForFirstConsumer"))
    )
    for key in part(obj, "parameters"):
        if not key:
            problems.append(invalid("parameters", key, "field must not be empty."))
    return problems


def _driver_name(name: Json, path: str) -> Problems:
    if not name:
        return [required(path)]
    problems: Problems = []
    if len(name) > DRIVER_NAME_MAX:
        problems.append(too_long(path, DRIVER_NAME_MAX))
    return problems + each(path, name, names.dns_subdomain(name.lower()))


def validate_csi_driver(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A CSIDriver."""
    spec = part(obj, "spec")
    problems = _driver_name(part(obj, "metadata").get("name"), "metadata.name") if old is None else []
    for field in ("attachRequired", "podInfoOnMount", "storageCapacity"):
        if spec.get(field) is None:
            problems.append(required(f"spec.{field}"))
    policies = ("File", "None", "ReadWriteOnceWithFSType")
    problems += one_of(spec.get("fsGroupPolicy"), "spec.fsGroupPolicy", policies, optional=True)
    for mode in spec.get("volumeLifecycleModes") or ():
        problems += one_of(mode, "spec.volumeLifecycleModes", ("Ephemeral", "Persistent"))
    if old is not None:
        for field in ("attachRequired", "fsGroupPolicy", "volumeLifecycleModes"):
            problems += immutable(spec.get(field), part(old, "spec").get(field), f"spec.{field}")
    return problems


def validate_csi_node(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A CSINode: each driver once, its node id fixed."""
    problems: Problems = []
    seen: set[Json] = set()
    before = {one.get("name"): one for one in structs(part(old, "spec"), "drivers")} if old is not None else {}
    for index, driver in enumerate(structs(part(obj, "spec"), "drivers")):
        at = f"spec.drivers[{index}]"
        name = driver.get("name")
        problems += _driver_name(name, f"{at}.name")
        problems += needed(driver, "nodeID", at)
        if name in seen:
            problems.append(duplicate(f"{at}.name", name))
        seen.add(name)
        if name in before:
            problems += immutable(driver.get("nodeID"), before[name].get("nodeID"), f"{at}.nodeID")
    return problems


def validate_storage_capacity(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A CSIStorageCapacity."""
    problems: Problems = []
    name = obj.get("storageClassName")
    problems += each("storageClassName", name, names.dns_subdomain(name)) if name else [required("storageClassName")]
    for field in ("capacity", "maximumVolumeSize"):
        if obj.get(field) is not None and amount(obj[field]) < 0:
            problems.append(invalid(field, obj[field], "must be greater than or equal to 0"))
    if old is not None:
        for field in ("nodeTopology", "storageClassName"):
            problems += immutable(obj.get(field), old.get(field), field)
    return problems


def validate_attachment(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A VolumeAttachment: its spec never changes."""
    spec = part(obj, "spec")
    problems = _driver_name(spec.get("attacher"), "spec.attacher")
    source = part(spec, "source")
    given = [field for field in ("inlineVolumeSpec", "persistentVolumeName") if source.get(field) is not None]
    if not given:
        problems.append(required("spec.source", "must specify exactly one of inlineVolumeSpec and persistentVolumeName"))
    elif len(given) > 1:
        problems.append(forbidden_field("spec.source", "must specify exactly one of inlineVolumeSpec and persistentVolumeName"))
    problems += needed(spec, "nodeName", "spec")
    if old is not None and not subresource and spec != part(old, "spec"):
        problems.append(invalid("spec", spec, "field is immutable"))
    return problems


def validate_attributes_class(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A VolumeAttributesClass: nothing in it changes."""
    problems = _driver_name(obj.get("driverName"), "driverName")
    if not part(obj, "parameters"):
        problems.append(required("parameters", "must contain at least one key/value pair"))
    if old is not None:
        for field in ("driverName", "parameters"):
            if obj.get(field) != old.get(field):
                problems.append(forbidden_field(field, f"updates to {field} are forbidden."))
    return problems
