"""Rows of what a cluster is made of: nodes, namespaces, events, settings, accounts, roles, storage."""

from __future__ import annotations

from collections.abc import Sequence

from resource_api.errors import Json, Object
from resource_api.printers.cells import NONE, UNKNOWN, UNSET, condition, created, name, selector, spec, status
from resource_api.schema.times import age, human_duration

NODE_ROLE = "node-role.kubernetes.io/"
NODE_ROLE_OLD = "kubernetes.io/role"
DEFAULT_ATTRIBUTES_CLASS = "volumeattributesclass.alpha.kubernetes.io/is-default-class"
ACCESS_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def node(obj: Object, now_s: float) -> Sequence[Json]:
    """Readiness, roles, versions."""
    states = []
    ready = condition(obj, "Ready")
    if ready is not None:
        states.append("Ready" if ready.get("status") == "True" else "NotReady")
    else:
        states.append("Unknown")
    if spec(obj).get("unschedulable"):
        states.append("SchedulingDisabled")
    labels = obj["metadata"].get("labels") or {}
    roles = sorted({key[len(NODE_ROLE) :] for key in labels if key.startswith(NODE_ROLE) and key != NODE_ROLE})
    if labels.get(NODE_ROLE_OLD):
        roles = sorted({*roles, labels[NODE_ROLE_OLD]})
    info = status(obj).get("nodeInfo") or {}
    found = {one.get("type"): one.get("address") for one in reversed(status(obj).get("addresses") or [])}
    return (
        *(name(obj), ",".join(states), ",".join(roles) or NONE, created(obj, now_s), info.get("kubeletVersion", "")),
        *(found.get("InternalIP") or NONE, found.get("ExternalIP") or NONE),
        *(info.get("osImage") or UNKNOWN, info.get("kernelVersion") or UNKNOWN, info.get("containerRuntimeVersion") or UNKNOWN),
    )


def namespace(obj: Object, now_s: float) -> Sequence[Json]:
    """Phase."""
    return (name(obj), status(obj).get("phase", ""), created(obj, now_s))


def event(obj: Object, now_s: float) -> Sequence[Json]:
    """When, what, about whom. Of either version."""
    about = obj.get("involvedObject") or obj.get("regarding") or {}
    series = obj.get("series") or {}
    first = obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime")
    last = obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp") or first
    count = obj.get("count") or obj.get("deprecatedCount") or 1
    if series:
        last, count = series.get("lastObservedTime"), series.get("count", 0)
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    reporter = obj.get("reportingComponent") or obj.get("reportingController") or ""
    host = source.get("host") or obj.get("reportingInstance")
    shown = (source.get("component") or reporter) + (f", {host}" if host else "")
    target = about.get("kind", "").lower() + (f"/{about['name']}" if about.get("name") else "")
    message = str(obj.get("message") or obj.get("note") or "").strip()
    return (
        *(age(last, now_s), obj.get("type", ""), obj.get("reason", ""), target),
        *(about.get("fieldPath", ""), shown, message, age(first, now_s), count, name(obj)),
    )


def secret(obj: Object, now_s: float) -> Sequence[Json]:
    """Type and how many entries."""
    return (name(obj), obj.get("type", ""), len(obj.get("data") or {}), created(obj, now_s))


def config_map(obj: Object, now_s: float) -> Sequence[Json]:
    """How many entries."""
    return (name(obj), len(obj.get("data") or {}) + len(obj.get("binaryData") or {}), created(obj, now_s))


def service_account(obj: Object, now_s: float) -> Sequence[Json]:
    """How many secrets."""
    return (name(obj), len(obj.get("secrets") or []), created(obj, now_s))


def resource_quota(obj: Object, now_s: float) -> Sequence[Json]:
    """Used of hard."""
    state = status(obj)
    hard, used = state.get("hard") or {}, state.get("used") or {}
    requests: list[str] = []
    limits: list[str] = []
    for resource in sorted(hard):
        shown = f"{resource}: {used.get(resource, '0')}/{hard[resource]}"
        (limits if resource.startswith("limits.") else requests).append(shown)
    return (name(obj), ", ".join(requests), ", ".join(limits), created(obj, now_s))


def persistent_volume(obj: Object, now_s: float) -> Sequence[Json]:
    """Capacity, claim, class."""
    wanted = spec(obj)
    claim = wanted.get("claimRef") or {}
    phase = "Terminating" if obj["metadata"].get("deletionTimestamp") else status(obj).get("phase", "")
    return (
        *(name(obj), (wanted.get("capacity") or {}).get("storage", "0"), _modes(wanted.get("accessModes"))),
        *(wanted.get("persistentVolumeReclaimPolicy", ""), phase),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        *(_storage_class(obj), wanted.get("volumeAttributesClassName") or UNSET, status(obj).get("reason", "")),
        *(created(obj, now_s), wanted.get("volumeMode") or UNSET),
    )


def persistent_volume_claim(obj: Object, now_s: float) -> Sequence[Json]:
    """Phase, volume, capacity."""
    wanted, state = spec(obj), status(obj)
    phase = "Terminating" if obj["metadata"].get("deletionTimestamp") else state.get("phase", "")
    bound = bool(wanted.get("volumeName"))
    capacity = (state.get("capacity") or {}).get("storage", "0") if bound else ""
    modes = _modes(state.get("accessModes")) if bound else ""
    return (
        *(name(obj), phase, wanted.get("volumeName", ""), capacity, modes, _storage_class(obj)),
        *(wanted.get("volumeAttributesClassName") or UNSET, created(obj, now_s), wanted.get("volumeMode") or UNSET),
    )


def _modes(modes: Sequence[str] | None) -> str:
    return ",".join(ACCESS_MODES[mode] for mode in ACCESS_MODES if mode in (modes or []))


def _storage_class(obj: Object) -> str:
    old = (obj["metadata"].get("annotations") or {}).get("volume.beta.kubernetes.io/storage-class")
    return str(old if old is not None else spec(obj).get("storageClassName") or "")


def storage_class(obj: Object, now_s: float) -> Sequence[Json]:
    """Provisioner and policies; the default one is marked."""
    annotations = obj["metadata"].get("annotations") or {}
    keys = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
    mark = " (default)" if any(annotations.get(key) == "true" for key in keys) else ""
    grows = bool(obj.get("allowVolumeExpansion"))
    policies = (obj.get("reclaimPolicy") or "Delete", obj.get("volumeBindingMode") or "Immediate")
    return (name(obj) + mark, obj.get("provisioner", ""), *policies, grows, created(obj, now_s))


def volume_attachment(obj: Object, now_s: float) -> Sequence[Json]:
    """Which volume is at which node."""
    wanted = spec(obj)
    volume = (wanted.get("source") or {}).get("persistentVolumeName") or ""
    attached = bool(status(obj).get("attached"))
    return (name(obj), wanted.get("attacher", ""), volume, wanted.get("nodeName", ""), attached, created(obj, now_s))


def volume_attributes_class(obj: Object, now_s: float) -> Sequence[Json]:
    """Driver."""
    mark = " (default)" if (obj["metadata"].get("annotations") or {}).get(DEFAULT_ATTRIBUTES_CLASS) == "true" else ""
    return (name(obj) + mark, obj.get("driverName", ""), created(obj, now_s))


def csi_driver(obj: Object, now_s: float) -> Sequence[Json]:
    """What it needs and can."""
    wanted = spec(obj)
    tokens = ",".join(one.get("audience", "") for one in wanted.get("tokenRequests") or []) or UNSET
    modes = ",".join(wanted.get("volumeLifecycleModes") or []) or NONE
    attach = bool(wanted.get("attachRequired", True))
    info, capacity, again = (bool(wanted.get(field)) for field in ("podInfoOnMount", "storageCapacity", "requiresRepublish"))
    return (name(obj), attach, info, capacity, tokens, again, modes, created(obj, now_s))


def csi_node(obj: Object, now_s: float) -> Sequence[Json]:
    """How many drivers."""
    return (name(obj), len(spec(obj).get("drivers") or []), created(obj, now_s))


def csi_storage_capacity(obj: Object, now_s: float) -> Sequence[Json]:
    """Of which class, how much."""
    return (name(obj), obj.get("storageClassName", ""), obj.get("capacity") or UNSET)


def binding(obj: Object, now_s: float) -> Sequence[Json]:
    """Which role, who."""
    role, subjects = obj.get("roleRef") or {}, obj.get("subjects") or []

    def named(kind: str) -> str:
        found = [one for one in subjects if one.get("kind") == kind]
        if kind == "ServiceAccount":
            return ", ".join(f"{one.get('namespace', '')}/{one.get('name')}" for one in found)
        return ", ".join(str(one.get("name")) for one in found)

    reference = f"{role.get('kind')}/{role.get('name')}"
    return (name(obj), reference, created(obj, now_s), named("User"), named("Group"), named("ServiceAccount"))


def role(obj: Object, now_s: float) -> Sequence[Json]:
    """Name and when it was made."""
    return (name(obj), obj["metadata"].get("creationTimestamp"))


def certificate_request(obj: Object, now_s: float) -> Sequence[Json]:
    """Who asks whom, and the answer."""
    wanted = spec(obj)
    seconds = wanted.get("expirationSeconds")
    duration = NONE if seconds is None else human_duration(seconds)
    answers = [one.get("type") for one in status(obj).get("conditions") or []]
    text = next((kind for kind in ("Denied", "Approved") if kind in answers), "Pending")
    if "Failed" in answers:
        text += ",Failed"
    if status(obj).get("certificate"):
        text += ",Issued"
    return (name(obj), created(obj, now_s), wanted.get("signerName") or NONE, wanted.get("username", ""), duration, text)


def trust_bundle(obj: Object, now_s: float) -> Sequence[Json]:
    """Signer."""
    return (name(obj), spec(obj).get("signerName") or NONE)


def webhooks(obj: Object, now_s: float) -> Sequence[Json]:
    """How many."""
    return (name(obj), len(obj.get("webhooks") or []), created(obj, now_s))


def validating_policy(obj: Object, now_s: float) -> Sequence[Json]:
    """How many rules, about which parameters."""
    return (name(obj), len(spec(obj).get("validations") or []), _param_kind(obj), created(obj, now_s))


def mutating_policy(obj: Object, now_s: float) -> Sequence[Json]:
    """How many changes, about which parameters."""
    return (name(obj), len(spec(obj).get("mutations") or []), _param_kind(obj), created(obj, now_s))


def _param_kind(obj: Object) -> str:
    kind = spec(obj).get("paramKind")
    return f"{kind.get('apiVersion')}/{kind.get('kind')}" if kind else UNSET


def policy_binding(obj: Object, now_s: float) -> Sequence[Json]:
    """Which policy, with which parameters."""
    reference = spec(obj).get("paramRef")
    shown = UNSET
    if reference:
        # Whether the parameters stand in a namespace is not known here.
        shown = f"{reference.get('namespace') or '*'}/{reference['name']}" if reference.get("name") else selector(reference.get("selector"))
    return (name(obj), spec(obj).get("policyName", ""), shown, created(obj, now_s))


def flow_schema(obj: Object, now_s: float) -> Sequence[Json]:
    """Which level, in which order."""
    wanted = spec(obj)
    level = (wanted.get("priorityLevelConfiguration") or {}).get("name", "")
    method = (wanted.get("distinguisherMethod") or {}).get("type") or NONE
    dangling = (condition(obj, "Dangling") or {}).get("status") or "?"
    return (name(obj), level, wanted.get("matchingPrecedence", 0), method, created(obj, now_s), dangling)


def priority_level(obj: Object, now_s: float) -> Sequence[Json]:
    """Shares and queues."""
    wanted = spec(obj)
    limited = wanted.get("limited") or {}
    queuing = (limited.get("limitResponse") or {}).get("queuing") or {}
    numbers = [limited.get("nominalConcurrencyShares"), *(queuing.get(key) for key in ("queues", "handSize", "queueLengthLimit"))]
    return (name(obj), wanted.get("type", ""), *(NONE if one is None else one for one in numbers), created(obj, now_s))


def priority_class(obj: Object, now_s: float) -> Sequence[Json]:
    """Value."""
    default = bool(obj.get("globalDefault"))
    return (name(obj), obj.get("value", 0), default, created(obj, now_s), obj.get("preemptionPolicy") or "")


def runtime_class(obj: Object, now_s: float) -> Sequence[Json]:
    """Handler."""
    return (name(obj), obj.get("handler", ""), created(obj, now_s))


def lease(obj: Object, now_s: float) -> Sequence[Json]:
    """Holder."""
    return (name(obj), spec(obj).get("holderIdentity") or "", created(obj, now_s))


def component_status(obj: Object, now_s: float) -> Sequence[Json]:
    """Health as it is told."""
    healthy: Object = next((one for one in obj.get("conditions") or [] if one.get("type") == "Healthy"), {})
    state = {"True": "Healthy", "False": "Unhealthy"}.get(healthy.get("status", ""), "Unknown")
    return (name(obj), state, healthy.get("message", ""), healthy.get("error", ""))


def resource_claim(obj: Object, now_s: float) -> Sequence[Json]:
    """How far it is."""
    state = status(obj)
    words = []
    if obj["metadata"].get("deletionTimestamp"):
        words.append("deleted")
    if state.get("allocation"):
        words += ["allocated", "reserved"] if state.get("reservedFor") else ["allocated"]
    elif not words:
        words.append("pending")
    return (name(obj), ",".join(words), created(obj, now_s))


def resource_slice(obj: Object, now_s: float) -> Sequence[Json]:
    """Node, driver, pool."""
    wanted = spec(obj)
    return (
        name(obj),
        wanted.get("nodeName", ""),
        wanted.get("driver", ""),
        (wanted.get("pool") or {}).get("name", ""),
        created(obj, now_s),
    )


def plain(obj: Object, now_s: float) -> Sequence[Json]:
    """Name and age."""
    return (name(obj), created(obj, now_s))


def storage_version_migration(obj: Object, now_s: float) -> Sequence[Json]:
    """Which resource."""
    resource = spec(obj).get("resource") or {}
    named = resource.get("resource", "") + (f".{resource['group']}" if resource.get("group") else "")
    return (name(obj), named)


def api_service(obj: Object, now_s: float) -> Sequence[Json]:
    """Who serves it, and whether it can be had."""
    service = spec(obj).get("service")
    where = f"{service.get('namespace')}/{service.get('name')}" if service else "Local"
    available = condition(obj, "Available") or {}
    state = available.get("status") or "Unknown"
    if state == "False" and available.get("reason"):
        state = f"False ({available['reason']})"
    return (name(obj), where, state, created(obj, now_s))


def scale(obj: Object, now_s: float) -> Sequence[Json]:
    """Desired and there."""
    return (name(obj), spec(obj).get("replicas", 0), status(obj).get("replicas", 0), created(obj, now_s))
