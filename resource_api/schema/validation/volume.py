"""Rules of a pod's volumes, and of the sources volumes and persistent volumes share. Source: `pkg/apis/core/validation/validation.go`."""

from __future__ import annotations

from resource_api.errors import Json, Object, duplicate, forbidden_field, invalid, not_supported, required
from resource_api.schema import names
from resource_api.schema.validation.container import descending_path, field_reference, quantity_not_negative
from resource_api.schema.validation.rules import Problems, each, needed, one_of, part, structs

HOST_PATH_TYPES = ("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket")
ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
MODE_MAX = 0o777

_NEEDED: dict[str, tuple[str, ...]] = {
    "awsElasticBlockStore": ("volumeID",),
    "azureDisk": ("diskName", "diskURI"),
    "azureFile": ("secretName", "shareName"),
    "cephfs": ("monitors",),
    "cinder": ("volumeID",),
    "csi": ("driver",),
    "flexVolume": ("driver",),
    "gcePersistentDisk": ("pdName",),
    "gitRepo": ("repository",),
    "glusterfs": ("endpoints", "path"),
    "hostPath": ("path",),
    "image": (),
    "iscsi": ("targetPortal", "iqn"),
    "local": ("path",),
    "nfs": ("server", "path"),
    "persistentVolumeClaim": ("claimName",),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "quobyte": ("registry", "volume"),
    "rbd": ("monitors", "image"),
    "scaleIO": ("gateway", "system", "volumeName"),
    "secret": ("secretName",),
    "vsphereVolume": ("volumePath",),
}
"""What each source must name."""


def validate_volumes(volumes: list[Object], path: str) -> tuple[dict[str, Object], Problems]:
    """The volumes by name, and what is wrong with them."""
    found: dict[str, Object] = {}
    problems: Problems = []
    for index, volume in enumerate(volumes):
        at = f"{path}[{index}]"
        name = str(volume.get("name") or "")
        mine = validate_source(volume, at)
        if not name:
            mine.append(required(f"{at}.name"))
        else:
            mine += each(f"{at}.name", name, names.dns_label(name))
        if name in found:
            mine.append(duplicate(f"{at}.name", name))
        if not mine:
            found[name] = volume
        else:
            found.setdefault(name, volume) if name else None
            problems += mine
    return found, problems


def validate_source(volume: Object, path: str) -> Problems:
    """Exactly one source, and that one complete."""
    sources = [name for name, value in volume.items() if name != "name" and isinstance(value, dict)]
    if not sources:
        return [required(path, "must specify a volume type")]
    problems: Problems = [forbidden_field(f"{path}.{extra}", "may not specify more than 1 volume type") for extra in sources[1:]]
    name = sources[0]
    return problems + source_rules(name, volume[name], f"{path}.{name}")


def source_rules(name: str, source: Object, path: str) -> Problems:
    """One source of that name."""
    problems: Problems = []
    for field in _NEEDED.get(name, ()):
        problems += needed(source, field, path)
    if name == "hostPath":
        if source.get("path") and ".." in str(source["path"]).split("/"):
            problems.append(invalid(f"{path}.path", source["path"], "must not contain '..'"))
        if source.get("type") not in (None, *HOST_PATH_TYPES):
            problems.append(not_supported(f"{path}.type", source["type"], HOST_PATH_TYPES))
    elif name == "emptyDir":
        if source.get("sizeLimit") is not None:
            problems += quantity_not_negative(source["sizeLimit"], f"{path}.sizeLimit")
    elif name == "configMap":
        problems += needed(source, "name", path)
        problems += _items(source, path)
    elif name == "secret":
        problems += _items(source, path)
    elif name == "downwardAPI":
        problems += _downward(source, path)
    elif name == "projected":
        problems += _projected(source, path)
    elif name == "ephemeral":
        problems += [] if part(source, "volumeClaimTemplate") else [required(f"{path}.volumeClaimTemplate")]
        if part(source, "volumeClaimTemplate"):
            problems += claim_spec(part(part(source, "volumeClaimTemplate"), "spec"), f"{path}.volumeClaimTemplate.spec")
    elif name == "nfs" and source.get("path") and not str(source["path"]).startswith("/"):
        problems.append(invalid(f"{path}.path", source["path"], "must be an absolute path"))
    return problems


def _mode(value: Json, path: str) -> Problems:
    if value is None or 0 <= value <= MODE_MAX:
        return []
    return [invalid(path, value, "must be a number between 0 and 0777 (octal), both inclusive")]


def _items(source: Object, path: str) -> Problems:
    problems = _mode(source.get("defaultMode"), f"{path}.defaultMode")
    for index, item in enumerate(structs(source, "items")):
        at = f"{path}.items[{index}]"
        problems += needed(item, "key", at)
        problems += needed(item, "path", at)
        problems += _mode(item.get("mode"), f"{at}.mode")
        if item.get("path"):
            problems += _file_path(item["path"], f"{at}.path")
    return problems


def _file_path(value: str, path: str) -> Problems:
    problems = descending_path(value, path)
    if value.startswith("..") and not problems:
        problems.append(invalid(path, value, "must not start with '..'"))
    return problems


def _downward(source: Object, path: str) -> Problems:
    problems = _mode(source.get("defaultMode"), f"{path}.defaultMode")
    for index, item in enumerate(structs(source, "items")):
        at = f"{path}.items[{index}]"
        problems += needed(item, "path", at)
        if item.get("path"):
            problems += _file_path(item["path"], f"{at}.path")
        field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
        if isinstance(field, dict):
            problems += field_reference(field, f"{at}.fieldRef")
            if resource is not None:
                problems.append(invalid(at, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"))
        elif isinstance(resource, dict):
            problems += needed(resource, "containerName", f"{at}.resourceFieldRef") + needed(resource, "resource", f"{at}.resourceFieldRef")
        else:
            problems.append(required(at, "one of fieldRef and resourceFieldRef is required"))
        problems += _mode(item.get("mode"), f"{at}.mode")
    return problems


def _projected(source: Object, path: str) -> Problems:
    problems = _mode(source.get("defaultMode"), f"{path}.defaultMode")
    for index, one in enumerate(structs(source, "sources")):
        at = f"{path}.sources[{index}]"
        kinds = [name for name, value in one.items() if isinstance(value, dict)]
        if not kinds:
            problems.append(required(at, "one of sources must be set"))
        for extra in kinds[1:]:
            problems.append(forbidden_field(at + f".{extra}", "may not specify more than 1 volume type"))
        for kind in kinds[:1]:
            inner = f"{at}.{kind}"
            if kind in ("secret", "configMap"):
                problems += needed(one[kind], "name", inner) + _items(one[kind], inner)
            elif kind == "downwardAPI":
                problems += _downward(one[kind], inner)
            elif kind == "serviceAccountToken":
                problems += _token(one[kind], inner)
    return problems


def _token(source: Object, path: str) -> Problems:
    problems: Problems = []
    expiry_s = source.get("expirationSeconds")
    if expiry_s is not None and expiry_s < 600:
        problems.append(invalid(f"{path}.expirationSeconds", expiry_s, "may not specify a duration less than 10 minutes"))
    if expiry_s is not None and expiry_s > 2**32:
        problems.append(invalid(f"{path}.expirationSeconds", expiry_s, "may not specify a duration larger than 2^32 seconds"))
    return problems + needed(source, "path", path)


def access_modes(modes: list[str], path: str) -> Problems:
    """Known ones; a volume that only one pod may use has no other."""
    problems: Problems = []
    for mode in modes:
        if mode not in ACCESS_MODES:
            problems.append(not_supported(path, mode, ACCESS_MODES))
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        problems.append(forbidden_field(path, "may not use ReadWriteOncePod with other access modes"))
    return problems


def claim_spec(spec: Object, path: str) -> Problems:
    """What a PersistentVolumeClaim asks for."""
    problems: Problems = []
    modes = spec.get("accessModes") or []
    if not modes:
        problems.append(required(f"{path}.accessModes", "at least 1 access mode is required"))
    problems += access_modes(modes, f"{path}.accessModes")
    storage = part(part(spec, "resources"), "requests").get("storage")
    if storage is None:
        problems.append(required(f"{path}.resources[storage]"))
    else:
        at = f"{path}.resources[storage]"
        problems += quantity_positive(storage, at)
    if spec.get("storageClassName"):
        name = spec["storageClassName"]
        problems += each(f"{path}.storageClassName", name, names.dns_subdomain(name))
    problems += one_of(spec.get("volumeMode"), f"{path}.volumeMode", ("Block", "Filesystem"), optional=True)
    return problems


def quantity_positive(value: Json, path: str) -> Problems:
    """More than nothing."""
    problems = quantity_not_negative(value, path)
    return problems or ([invalid(path, value, "must be greater than zero")] if value == "0" else [])
