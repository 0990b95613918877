"""Rules of containers: names, images, ports, environment, mounts, probes, handlers, resources, security contexts.

Source: `pkg/apis/core/validation/validation.go`. Called by `validation_pod`.
"""

from __future__ import annotations

from collections.abc import Mapping

from resource_api.errors import Json, Object, duplicate, forbidden_field, invalid, not_found_field, not_supported, required
from resource_api.schema import names
from resource_api.schema.quantity import QuantityError, amount
from resource_api.schema.validation.rules import (
    Problems,
    each,
    needed,
    not_negative,
    one_of,
    part,
    port_number,
    port_number_or_name,
    structs,
)

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
PROTOCOLS = ("SCTP", "TCP", "UDP")
HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
STANDARD_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage"})
_ENV_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def validate_container(container: Object, volumes: Mapping[str, Object], path: str) -> Problems:
    """What holds for every sort of container."""
    problems: Problems = []
    name = container.get("name")
    problems += each(f"{path}.name", name, names.dns_label(name)) if name else [required(f"{path}.name")]
    image = container.get("image")
    if not image:
        problems.append(required(f"{path}.image"))
    policy = container.get("terminationMessagePolicy")
    if policy not in ("File", "FallbackToLogsOnError"):
        text = "must be 'File' or 'FallbackToLogsOnError'"
        at = f"{path}.terminationMessagePolicy"
        problems.append(invalid(at, policy, text) if policy else required(at))
    problems += _ports(structs(container, "ports"), f"{path}.ports")
    problems += _environment(structs(container, "env"), f"{path}.env")
    problems += _environment_from(structs(container, "envFrom"), f"{path}.envFrom")
    problems += _mounts(container, volumes, path)
    problems += _devices(container, volumes, path)
    problems += one_of(container.get("imagePullPolicy"), f"{path}.imagePullPolicy", PULL_POLICIES)
    problems += validate_resources(part(container, "resources"), f"{path}.resources")
    problems += _security_context(part(container, "securityContext"), f"{path}.securityContext")
    return problems


def validate_probes(container: Object, path: str) -> Problems:
    """Lifecycle handlers and probes of a container that has them."""
    problems: Problems = []
    for hook in ("postStart", "preStop"):
        handler = part(container, "lifecycle").get(hook)
        if isinstance(handler, dict):
            problems += _handler(handler, f"{path}.lifecycle.{hook}", ("exec", "httpGet", "tcpSocket", "sleep"))
    for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(kind)
        if not isinstance(probe, dict):
            continue
        at = f"{path}.{kind}"
        problems += _probe(probe, at)
        if kind != "readinessProbe" and probe.get("successThreshold", 1) != 1:
            problems.append(invalid(f"{at}.successThreshold", probe["successThreshold"], "must be 1"))
        if kind == "readinessProbe" and probe.get("terminationGracePeriodSeconds") is not None:
            value = probe["terminationGracePeriodSeconds"]
            problems.append(invalid(f"{at}.terminationGracePeriodSeconds", value, "must not be set for readinessProbes"))
    return problems


def _probe(probe: Object, path: str) -> Problems:
    problems = _handler(probe, path, HANDLERS)
    for field in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        problems += not_negative(probe.get(field), f"{path}.{field}")
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        problems.append(invalid(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than 0"))
    return problems


def _handler(handler: Object, path: str, kinds: tuple[str, ...]) -> Problems:
    problems: Problems = []
    given = [kind for kind in kinds if isinstance(handler.get(kind), dict)]
    if not given:
        return [required(path, "must specify a handler type")]
    for extra in given[1:]:
        problems.append(forbidden_field(f"{path}.{extra}", "may not specify more than 1 handler type"))
    kind = given[0]
    action, at = handler[kind], f"{path}.{kind}"
    if kind == "exec":
        problems += needed(action, "command", at)
    elif kind == "httpGet":
        problems += needed(action, "path", at)
        problems += port_number_or_name(action.get("port"), f"{at}.port")
        problems += one_of(action.get("scheme"), f"{at}.scheme", ("HTTP", "HTTPS"))
        for index, header in enumerate(structs(action, "httpHeaders")):
            problems += each(f"{at}.httpHeaders[{index}].name", header.get("name") or "", names.http_header(header.get("name") or ""))
    elif kind == "tcpSocket":
        problems += port_number_or_name(action.get("port"), f"{at}.port")
    elif kind == "grpc":
        problems += port_number(action.get("port"), f"{at}.port")
    return problems


def _ports(ports: list[Object], path: str) -> Problems:
    problems: Problems = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        at = f"{path}[{index}]"
        name = port.get("name")
        if name:
            texts = names.port_name(name)
            problems += each(f"{at}.name", name, texts)
            if not texts and name in seen:
                problems.append(duplicate(f"{at}.name", name))
            seen.add(name)
        if not port.get("containerPort"):
            problems.append(required(f"{at}.containerPort"))
        else:
            problems += port_number(port["containerPort"], f"{at}.containerPort")
        if port.get("hostPort"):
            problems += port_number(port["hostPort"], f"{at}.hostPort")
        problems += one_of(port.get("protocol"), f"{at}.protocol", PROTOCOLS)
    return problems


def host_port_conflicts(containers: list[Object], path: str, seen: set[str]) -> Problems:
    """No host port twice; `seen` gathers them over calls."""
    problems: Problems = []
    for at, container in enumerate(containers):
        for index, port in enumerate(structs(container, "ports")):
            if port.get("hostPort"):
                text = f"{port.get('protocol') or ''}/{port.get('hostIP') or ''}/{port['hostPort']}"
                if text in seen:
                    problems.append(duplicate(f"{path}[{at}].ports[{index}].hostPort", text))
                seen.add(text)
    return problems


def _environment(variables: list[Object], path: str) -> Problems:
    problems: Problems = []
    for index, variable in enumerate(variables):
        at = f"{path}[{index}]"
        name = variable.get("name")
        problems += each(f"{at}.name", name, names.env_name(name)) if name else [required(f"{at}.name")]
        source = variable.get("valueFrom")
        if isinstance(source, dict):
            problems += _value_from(source, bool(variable.get("value")), f"{at}.valueFrom")
    return problems


def _value_from(source: Object, has_value: bool, path: str) -> Problems:
    problems: Problems = []
    given = [name for name in _ENV_SOURCES if isinstance(source.get(name), dict)]
    for name in given:
        problems += _env_source(name, source[name], f"{path}.{name}")
    if not given:
        choice = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        problems.append(invalid(path, "", choice))
    elif has_value:
        problems.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif len(given) > 1:
        problems.append(invalid(path, "", "may not have more than one field specified at a time"))
    return problems


def _env_source(kind: str, source: Object, path: str) -> Problems:
    if kind == "fieldRef":
        return field_reference(source, path)
    if kind == "resourceFieldRef":
        return needed(source, "resource", path)
    if kind == "fileKeyRef":
        return needed(source, "key", path)
    problems = needed(source, "name", path)
    key = source.get("key")
    return problems + (each(f"{path}.key", key, names.config_key(key)) if key else [required(f"{path}.key")])


_FIELD_PATHS = (
    *("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName"),
    *("status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs", "metadata.labels", "metadata.annotations"),
)


def field_reference(source: Object, path: str) -> Problems:
    """A field of the pod by its path."""
    problems = needed(source, "apiVersion", path)
    value = source.get("fieldPath")
    if not value:
        return [*problems, required(f"{path}.fieldPath")]
    base, bracket, _ = value.partition("[")
    if bracket:
        if base not in ("metadata.labels", "metadata.annotations"):
            problems.append(invalid(f"{path}.fieldPath", value, "does not support subscript"))
    elif value not in _FIELD_PATHS:
        text = f"error converting fieldPath: field label not supported: {value}"
        problems.append(invalid(f"{path}.fieldPath", value, text))
    return problems


def _environment_from(sources: list[Object], path: str) -> Problems:
    problems: Problems = []
    for index, source in enumerate(sources):
        at = f"{path}[{index}]"
        prefix = source.get("prefix")
        if prefix:
            problems += each(f"{at}.prefix", prefix, names.env_name(prefix))
        given = [name for name in ("configMapRef", "secretRef") if isinstance(source.get(name), dict)]
        for name in given:
            problems += needed(source[name], "name", f"{at}.{name}")
        if not given:
            problems.append(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            problems.append(invalid(path, "", "may not have more than one field specified at a time"))
    return problems


def _mounts(container: Object, volumes: Mapping[str, Object], path: str) -> Problems:
    problems: Problems = []
    devices = {device.get("devicePath") for device in structs(container, "volumeDevices")}
    device_names = {device.get("name") for device in structs(container, "volumeDevices")}
    seen: set[Json] = set()
    for index, mount in enumerate(structs(container, "volumeMounts")):
        at = f"{path}.volumeMounts[{index}]"
        name, where = mount.get("name"), mount.get("mountPath")
        if not name:
            problems.append(required(f"{at}.name"))
        if name not in volumes:
            problems.append(not_found_field(f"{at}.name", name or ""))
        if not where:
            problems.append(required(f"{at}.mountPath"))
        if where in seen:
            problems.append(invalid(f"{at}.mountPath", where, "must be unique"))
        seen.add(where)
        if name in device_names:
            problems.append(invalid(f"{at}.name", name, "must not already exist in volumeDevices"))
        if where in devices:
            problems.append(invalid(f"{at}.mountPath", where, "must not already exist as a path in volumeDevices"))
        problems += _sub_paths(mount, at)
        propagation = mount.get("mountPropagation")
        problems += one_of(propagation, f"{at}.mountPropagation", ("Bidirectional", "HostToContainer", "None"), optional=True)
    return problems


def _sub_paths(mount: Object, path: str) -> Problems:
    problems: Problems = []
    if mount.get("subPath") and mount.get("subPathExpr"):
        problems.append(invalid(f"{path}.subPathExpr", mount["subPathExpr"], "subPathExpr and subPath are mutually exclusive"))
    for field in ("subPath", "subPathExpr"):
        if mount.get(field):
            problems += descending_path(mount[field], f"{path}.{field}")
    return problems


def descending_path(value: str, path: str) -> Problems:
    """A relative path that never climbs."""
    if value.startswith("/"):
        return [invalid(path, value, "must be a relative path")]
    return [invalid(path, value, "must not contain '..'")] if ".." in value.split("/") else []


def _devices(container: Object, volumes: Mapping[str, Object], path: str) -> Problems:
    problems: Problems = []
    seen: set[Json] = set()
    for index, device in enumerate(structs(container, "volumeDevices")):
        at = f"{path}.volumeDevices[{index}]"
        name, where = device.get("name"), device.get("devicePath")
        if not name:
            problems.append(required(f"{at}.name"))
        elif name not in volumes:
            problems.append(not_found_field(f"{at}.name", name))
        if not where:
            problems.append(required(f"{at}.devicePath"))
        elif where in seen:
            problems.append(invalid(f"{at}.devicePath", where, "must be unique"))
        seen.add(where)
    return problems


def resource_name(name: str, path: str) -> Problems:
    """The name of a resource a container may ask for."""
    problems = each(path, name, names.qualified_name(name))
    if problems or "/" in name:
        return problems
    if name in STANDARD_RESOURCES or name.startswith("hugepages-"):
        return []
    return [invalid(path, name, "must be a standard resource for containers")]


def quantity_not_negative(value: Json, path: str) -> Problems:
    """Zero or more of something."""
    try:
        return [invalid(path, value, "must be greater than or equal to 0")] if amount(value) < 0 else []
    except QuantityError as error:
        return [invalid(path, value, str(error))]


def validate_resources(resources: Object, path: str) -> Problems:
    """Limits and requests, and that no request exceeds its limit."""
    problems: Problems = []
    limits, requests = part(resources, "limits"), part(resources, "requests")
    for name, value in limits.items():
        problems += resource_name(name, f"{path}.limits[{name}]") + quantity_not_negative(value, f"{path}.limits[{name}]")
    for name, value in requests.items():
        at = f"{path}.requests[{name}]"
        problems += resource_name(name, at) + quantity_not_negative(value, at)
        if problems:
            continue
        extended = "/" in name
        if name in limits:
            if (extended or name.startswith("hugepages-")) and amount(value) != amount(limits[name]):
                problems.append(invalid(f"{path}.requests", value, f"must be equal to {name} limit of {limits[name]}"))
            elif amount(value) > amount(limits[name]):
                problems.append(invalid(f"{path}.requests", value, f"must be less than or equal to {name} limit of {limits[name]}"))
        elif extended or name.startswith("hugepages-"):
            problems.append(required(f"{path}.limits", "Limit must be set for non overcommitable resources"))
    return problems


def _security_context(context: Object, path: str) -> Problems:
    problems: Problems = []
    if context.get("runAsUser") is not None:
        problems += _id(context["runAsUser"], f"{path}.runAsUser")
    if context.get("runAsGroup") is not None:
        problems += _id(context["runAsGroup"], f"{path}.runAsGroup")
    if context.get("procMount") is not None and context["procMount"] not in ("Default", "Unmasked"):
        problems.append(not_supported(f"{path}.procMount", context["procMount"], ("Default", "Unmasked")))
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            text = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            problems.append(invalid(path, context, text))
        if "CAP_SYS_ADMIN" in (part(context, "capabilities").get("add") or ()):
            text = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            problems.append(invalid(path, context, text))
    problems += seccomp_profile(part(context, "seccompProfile"), f"{path}.seccompProfile")
    return problems


def _id(value: int, path: str) -> Problems:
    return [] if 0 <= value <= 2**31 - 1 else [invalid(path, value, "must be between 0 and 2147483647, inclusive")]


def security_ids(context: Object, path: str) -> Problems:
    """User and group ids of a pod's security context."""
    problems: Problems = []
    for field in ("runAsUser", "runAsGroup", "fsGroup"):
        if context.get(field) is not None:
            problems += _id(context[field], f"{path}.{field}")
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        problems += _id(group, f"{path}.supplementalGroups[{index}]")
    return problems


def seccomp_profile(profile: Object, path: str) -> Problems:
    """Its type, and that a local profile is named exactly when there is one."""
    if not profile:
        return []
    problems = one_of(profile.get("type"), f"{path}.type", ("Localhost", "RuntimeDefault", "Unconfined"))
    local = profile.get("localhostProfile")
    if profile.get("type") == "Localhost" and local is None:
        problems.append(required(f"{path}.localhostProfile", "must be set when seccomp type is Localhost"))
    if profile.get("type") != "Localhost" and local is not None:
        problems.append(invalid(f"{path}.localhostProfile", local, "can only be set when seccomp type is Localhost"))
    return problems


def resize_policies(container: Object, path: str) -> Problems:
    """Restart policies of resources."""
    problems: Problems = []
    seen: set[Json] = set()
    for index, policy in enumerate(structs(container, "resizePolicy")):
        at = f"{path}.resizePolicy[{index}]"
        if policy.get("resourceName") in seen:
            problems.append(duplicate(at, policy.get("resourceName")))
        seen.add(policy.get("resourceName"))
        problems += one_of(policy.get("resourceName"), f"{at}.resourceName", ("cpu", "memory"))
        problems += one_of(policy.get("restartPolicy"), f"{at}.restartPolicy", ("NotRequired", "RestartContainer"))
    return problems
