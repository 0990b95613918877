"""Rules of ConfigMaps, Secrets, Namespaces, Nodes, ResourceQuotas, LimitRanges and Events.

Source: `pkg/apis/core/validation/validation.go` and `events.go`.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from resource_api.errors import Json, Object, duplicate, forbidden_field, invalid, not_supported, required, too_long
from resource_api.schema import names
from resource_api.schema.quantity import QuantityError, amount
from resource_api.schema.validation.container import quantity_not_negative
from resource_api.schema.validation.rules import (
    Problems,
    each,
    immutable,
    names_of,
    network,
    one_of,
    part,
    structs,
)

DATA_BYTES_MAX = 1024 * 1024
SEALED = "field is immutable when `immutable` is set"


def validate_config_map(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A ConfigMap."""
    data, binary = part(obj, "data"), part(obj, "binaryData")
    problems: Problems = []
    size_bytes = 0
    for key in sorted(data):
        problems += each(f"data[{key}]", key, names.config_key(key))
        if key in binary:
            problems.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
        size_bytes += len(str(data[key]).encode())
    problems += names_of(binary, "binaryData", names.config_key)
    size_bytes += sum(decoded_bytes(value) for value in binary.values())
    if size_bytes > DATA_BYTES_MAX:
        problems.append(too_long("[]", DATA_BYTES_MAX))
    return problems + (_sealed(obj, old, ("data", "binaryData")) if old is not None else [])


def _sealed(obj: Object, old: Object, fields: tuple[str, ...]) -> Problems:
    """What is marked immutable stays so, and as it is."""
    if not old.get("immutable"):
        return []
    problems = [] if obj.get("immutable") else [forbidden_field("immutable", SEALED)]
    return problems + [forbidden_field(field, SEALED) for field in fields if (obj.get(field) or {}) != (old.get(field) or {})]


def decoded_bytes(text: Json) -> int:
    """How many bytes a base64 text stands for."""
    length = len(str(text))
    return length * 3 // 4 - (str(text).endswith("==") + str(text).endswith("="))


_SECRET_KEYS: dict[str, tuple[str, ...]] = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
ACCOUNT_NAME = "kubernetes.io/service-account.name"


def validate_secret(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A Secret: keys, size, and what its type asks for."""
    data, kind = part(obj, "data"), obj.get("type")
    problems = immutable(kind, old.get("type"), "type") if old is not None else []
    if old is not None:
        problems += _sealed(obj, old, ("data",))
    problems += names_of(data, "data", names.config_key)
    if sum(decoded_bytes(value) for value in data.values()) > DATA_BYTES_MAX:
        problems.append(too_long("data", DATA_BYTES_MAX))
    for key in _SECRET_KEYS.get(str(kind), ()):
        if key not in data:
            problems.append(required(f"data[{key}]"))
        elif key.startswith(".docker"):
            problems += _json_secret(data[key], f"data[{key}]")
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & data.keys():
        problems += [required("data[username]"), required("data[password]")]
    if kind == "kubernetes.io/service-account-token" and not (part(obj, "metadata").get("annotations") or {}).get(ACCOUNT_NAME):
        problems.append(required(f"metadata.annotations[{ACCOUNT_NAME}]"))
    return problems


def _json_secret(text: Json, path: str) -> Problems:
    try:
        msgspec.json.decode(base64.b64decode(text))
    except (msgspec.DecodeError, binascii.Error, ValueError, RecursionError) as error:
        return [invalid(path, "<secret contents redacted>", str(error))]
    return []


def validate_namespace(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A Namespace: names of its finalizers."""
    problems: Problems = []
    for index, finalizer in enumerate(part(obj, "spec").get("finalizers") or ()):
        at = f"spec.finalizers[{index}]"
        problems += each(at, finalizer, names.qualified_name(finalizer))
        if "/" not in finalizer and finalizer != "kubernetes":
            problems.append(invalid(at, finalizer, "name is neither a standard finalizer name nor is it fully qualified"))
    if old is not None and subresource == "status":
        phase, ends = part(obj, "status").get("phase"), part(obj, "metadata").get("deletionTimestamp")
        if not ends and phase != "Active":
            problems.append(invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty"))
        if ends and phase != "Terminating":
            problems.append(invalid("status.Phase", phase, "may only be 'Terminating' if `deletionTimestamp` is not empty"))
    return problems


def validate_node(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A Node: taints, addresses of its pods, quantities; the provider's id stays."""
    spec = part(obj, "spec")
    problems = _taints(structs(spec, "taints"))
    cidrs = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
    for index, value in enumerate(cidrs):
        problems += network(value, f"spec.podCIDRs[{index}]")
    for field in ("capacity", "allocatable"):
        for name, value in part(part(obj, "status"), field).items():
            problems += quantity_not_negative(value, f"status.{field}.{name}")
    if old is None:
        return problems
    before = part(old, "spec")
    if before.get("providerID") and before["providerID"] != spec.get("providerID"):
        problems.append(forbidden_field("spec.providerID", 'node updates may not change providerID except from "" to valid'))
    if before.get("podCIDRs") and before["podCIDRs"] != cidrs:
        problems.append(forbidden_field("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid'))
    return problems


def _taints(taints: list[Object]) -> Problems:
    problems: Problems = []
    seen: set[tuple[Json, Json]] = set()
    for index, taint in enumerate(taints):
        at = f"spec.taints[{index}]"
        key, value, effect = taint.get("key") or "", taint.get("value") or "", taint.get("effect") or ""
        problems += each(f"{at}.key", key, names.qualified_name(key))
        problems += each(f"{at}.value", value, names.label_value(value))
        if not effect:
            problems.append(required(f"{at}.effect"))
        elif effect not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
            problems.append(not_supported(f"{at}.effect", effect, ("NoSchedule", "PreferNoSchedule", "NoExecute")))
        if (key, effect) in seen:
            problems.append(duplicate(at, taint))
        seen.add((key, effect))
    return problems


QUOTA_SCOPES = ("BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass", "Terminating")
_QUOTA_RESOURCES = frozenset(
    {
        *("cpu", "memory", "ephemeral-storage", "pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps"),
        *("persistentvolumeclaims", "services.nodeports", "services.loadbalancers", "requests.cpu", "requests.memory", "requests.storage"),
        *("requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage"),
    }
)
_WHOLE = frozenset(
    {
        *("pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps", "persistentvolumeclaims"),
        *("services.nodeports", "services.loadbalancers"),
    }
)


def validate_resource_quota(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A ResourceQuota."""
    problems = _hard(part(part(obj, "spec"), "hard"), "spec.hard")
    if subresource == "status":
        for field in ("hard", "used"):
            problems += _hard(part(part(obj, "status"), field), f"status.{field}")
        return problems
    spec = part(obj, "spec")
    for scope in spec.get("scopes") or ():
        if scope not in QUOTA_SCOPES:
            problems.append(invalid("spec.scopes", spec["scopes"], "unsupported scope"))
    if old is not None and sorted(spec.get("scopes") or ()) != sorted(part(old, "spec").get("scopes") or ()):
        problems.append(invalid("spec.scopes", spec.get("scopes"), "field is immutable"))
    return problems


def _hard(values: Object, path: str) -> Problems:
    problems: Problems = []
    for name in sorted(values):
        at = f"{path}[{name}]"
        texts = names.qualified_name(name)
        problems += each(at, name, texts)
        if not texts and "/" not in name and name not in _QUOTA_RESOURCES and not _is_pages(name):
            problems.append(invalid(at, name, "must be a standard resource for quota"))
        wrong = quantity_not_negative(values[name], at)
        problems += wrong
        if not wrong and (name in _WHOLE or name.startswith("count/")) and amount(values[name]) % 10**9:
            problems.append(invalid(at, values[name], "must be an integer"))
    return problems


def _is_pages(name: str) -> bool:
    return name.startswith(("hugepages-", "requests.hugepages-"))


def validate_limit_range(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A LimitRange: of every resource min ≤ default request ≤ default ≤ max."""
    problems: Problems = []
    seen: set[Json] = set()
    for index, limit in enumerate(structs(part(obj, "spec"), "limits")):
        at = f"spec.limits[{index}]"
        kind = limit.get("type")
        if not kind:
            problems.append(required(f"{at}.type"))
        if kind in seen:
            problems.append(duplicate(f"{at}.type", kind))
        seen.add(kind)
        if kind == "Pod":
            for field in ("default", "defaultRequest"):
                if limit.get(field):
                    problems.append(forbidden_field(f"{at}.{field}", "may not be specified when `type` is 'Pod'"))
        if kind == "PersistentVolumeClaim" and not {"storage"} & (part(limit, "min").keys() | part(limit, "max").keys()):
            text = "either minimum or maximum storage value is required, but neither was provided"
            problems.append(required(at, text))
        problems += _ordered(limit, at)
    return problems


_ORDER = (
    ("min", "max", "min", "min", "max"),
    ("min", "defaultRequest", "defaultRequest", "min", "default request"),
    ("defaultRequest", "max", "defaultRequest", "default request", "max"),
    ("defaultRequest", "default", "defaultRequest", "default request", "default limit"),
    ("min", "default", "default", "min", "default"),
    ("default", "max", "default", "default", "max"),
)
"""Which may not exceed which, the field that is said to be wrong, and both their names."""


def _ordered(limit: Object, path: str) -> Problems:
    problems: Problems = []
    for low, high, at, low_name, high_name in _ORDER:
        lower, upper = part(limit, low), part(limit, high)
        for name in sorted(lower.keys() & upper.keys()):
            try:
                exceeds = amount(lower[name]) > amount(upper[name])
            except QuantityError:
                continue
            if exceeds:
                text = f"{low_name} value {lower[name]} is greater than {high_name} value {upper[name]}"
                problems.append(invalid(f"{path}.{at}[{name}]", part(limit, at)[name], text))
    return problems


def validate_event(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A core Event stands in the namespace of what it is about; cluster-scoped things' stand in `default`."""
    problems: Problems = []
    namespace = part(obj, "metadata").get("namespace") or ""
    about = part(obj, "involvedObject").get("namespace") or ""
    if about and about != namespace:
        text = "does not match event.namespace"
        problems.append(invalid("involvedObject.namespace", about, text))
    elif not about and namespace not in ("default", "kube-system"):
        problems.append(invalid("involvedObject.namespace", about, "does not match event.namespace"))
    return problems + (_new_event(obj) if obj.get("eventTime") is not None and old is None else [])


def _new_event(obj: Object) -> Problems:
    """An event with a time of its own comes from a recorder that names itself."""
    fields = ("reportingComponent", "reportingInstance", "action", "reason")
    return [required(field) for field in fields if not obj.get(field)]


def validate_events_event(obj: Object, old: Object | None, subresource: str) -> Problems:
    """An events.k8s.io Event."""
    problems: Problems = []
    namespace = part(obj, "metadata").get("namespace") or ""
    about = part(obj, "regarding").get("namespace") or ""
    if about != namespace and not (not about and namespace in ("default", "kube-system")):
        problems.append(invalid("involvedObject.namespace", about, "does not match event.namespace"))
    if old is not None:
        return problems
    for field in ("eventTime", "reportingController", "reportingInstance", "action", "reason"):
        if not obj.get(field):
            problems.append(required(field))
    for field, bytes_max in (("note", 1024), ("action", 128), ("reason", 128), ("reportingInstance", 128)):
        if len(str(obj.get(field) or "").encode()) > bytes_max:
            text = f"can have at most {bytes_max} characters"
            problems.append(invalid("message" if field == "note" else field, "", text))
    return problems + one_of(obj.get("type"), "type", ("Normal", "Warning"))
