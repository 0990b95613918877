"""Rules of pods and pod templates, and of what may change in a pod. Source: `pkg/apis/core/validation/validation.go`."""

from __future__ import annotations

from resource_api.errors import Json, Object, duplicate, forbidden_field, invalid, not_found_field, not_supported, required
from resource_api.schema import names
from resource_api.schema.json_values import copied
from resource_api.schema.metadata import validate_annotations, validate_labels
from resource_api.schema.service_quality import quality_of_service
from resource_api.schema.validation.container import (
    host_port_conflicts,
    resize_policies,
    seccomp_profile,
    security_ids,
    validate_container,
    validate_probes,
)
from resource_api.schema.validation.rules import (
    INT32_MAX,
    Problems,
    address,
    each,
    label_selector,
    needed,
    one_of,
    part,
    structs,
    within,
)
from resource_api.schema.validation.volume import validate_volumes

RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
NODE_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")
UPDATABLE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
    "previously negative)"
)


def validate_pod(pod: Object, old: Object | None, subresource: str) -> Problems:
    """A pod, new or changed, by one of its endpoints. A binding is checked by who makes it."""
    if subresource in ("status", "binding"):
        return []
    problems = validate_pod_spec(part(pod, "spec"), "spec")
    for group in ("containers", "initContainers"):
        for index, container in enumerate(structs(part(pod, "spec"), group)):
            image = str(container.get("image") or "")
            if image != image.strip():
                problems.append(invalid(f"spec.{group}[{index}].image", image, "must not have leading or trailing whitespace"))
    if old is None:
        return problems
    if subresource == "ephemeralcontainers":
        return problems + _ephemeral_update(part(pod, "spec"), part(old, "spec"))
    if subresource == "resize":
        return problems + _resize(pod, old)
    return problems + _update(part(pod, "spec"), part(old, "spec"))


def validate_template(template: Object, path: str) -> Problems:
    """A pod template anywhere."""
    metadata = part(template, "metadata")
    problems = validate_labels(metadata.get("labels"), f"{path}.labels")
    problems += validate_annotations(metadata.get("annotations"), f"{path}.annotations")
    problems += validate_pod_spec(part(template, "spec"), f"{path}.spec")
    if structs(part(template, "spec"), "ephemeralContainers"):
        problems.append(forbidden_field(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template"))
    return problems


def validate_pod_spec(spec: Object, path: str) -> Problems:
    """The spec of a pod or of a template."""
    volumes, problems = validate_volumes(structs(spec, "volumes"), f"{path}.volumes")
    problems += _containers(spec, volumes, path)
    problems += one_of(spec.get("restartPolicy"), f"{path}.restartPolicy", RESTART_POLICIES)
    problems += one_of(spec.get("dnsPolicy"), f"{path}.dnsPolicy", DNS_POLICIES)
    problems += validate_labels(spec.get("nodeSelector"), f"{path}.nodeSelector")
    context = part(spec, "securityContext")
    problems += security_ids(context, f"{path}.securityContext")
    problems += seccomp_profile(part(context, "seccompProfile"), f"{path}.securityContext.seccompProfile")
    for index, secret in enumerate(structs(spec, "imagePullSecrets")):
        if not secret.get("name"):
            problems.append(required(f"{path}.imagePullSecrets[{index}].name"))
    problems += _affinity(part(spec, "affinity"), f"{path}.affinity")
    problems += _dns_config(spec, path)
    problems += _names(spec, path)
    deadline_s = spec.get("activeDeadlineSeconds")
    if deadline_s is not None:
        problems += within(deadline_s, f"{path}.activeDeadlineSeconds", 1, INT32_MAX)
    problems += _host_network(spec, path)
    problems += _tolerations(structs(spec, "tolerations"), f"{path}.tolerations")
    for index, alias in enumerate(structs(spec, "hostAliases")):
        problems += address(alias.get("ip") or "", f"{path}.hostAliases[{index}].ip")
        for hostname in alias.get("hostnames") or ():
            problems += each(f"{path}.hostAliases[{index}].hostnames", hostname, names.dns_subdomain(hostname))
    problems += _spread(structs(spec, "topologySpreadConstraints"), f"{path}.topologySpreadConstraints")
    problems += one_of(spec.get("preemptionPolicy"), f"{path}.preemptionPolicy", ("Never", "PreemptLowerPriority"), optional=True)
    problems += _gates(spec, path)
    return problems


def _containers(spec: Object, volumes: dict[str, Object], path: str) -> Problems:
    problems: Problems = []
    containers = structs(spec, "containers")
    if not containers:
        problems.append(required(f"{path}.containers"))
    seen: set[Json] = set()
    for index, container in enumerate(containers):
        at = f"{path}.containers[{index}]"
        problems += validate_container(container, volumes, at)
        problems += _unique(container, at, seen)
        problems += validate_probes(container, at)
        problems += resize_policies(container, at)
        if container.get("restartPolicy") and container["restartPolicy"] not in RESTART_POLICIES:
            problems.append(not_supported(f"{at}.restartPolicy", container["restartPolicy"], RESTART_POLICIES))
    problems += host_port_conflicts(containers, f"{path}.containers", set())
    problems += _init_containers(spec, volumes, path, seen)
    for index, container in enumerate(structs(spec, "ephemeralContainers")):
        at = f"{path}.ephemeralContainers[{index}]"
        problems += validate_container(container, volumes, at)
        problems += _unique(container, at, seen)
        target = container.get("targetContainerName")
        if target and target not in seen:
            problems.append(not_found_field(f"{at}.targetContainerName", target))
        for field in ("ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resizePolicy"):
            if container.get(field):
                problems.append(forbidden_field(f"{at}.{field}", "cannot be set for an Ephemeral Container"))
        if part(container, "resources"):
            problems.append(forbidden_field(f"{at}.resources", "cannot be set for an Ephemeral Container"))
    return problems


def _init_containers(spec: Object, volumes: dict[str, Object], path: str, seen: set[Json]) -> Problems:
    problems: Problems = []
    for index, container in enumerate(structs(spec, "initContainers")):
        at = f"{path}.initContainers[{index}]"
        problems += validate_container(container, volumes, at)
        problems += _unique(container, at, seen)
        problems += host_port_conflicts([container], f"{path}.initContainers", set())
        if container.get("restartPolicy") == "Always":
            problems += validate_probes(container, at)
            continue
        for field in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
            if container.get(field) is not None:
                problems.append(forbidden_field(f"{at}.{field}", "may not be set for init containers without restartPolicy=Always"))
    return problems


def _unique(container: Object, at: str, seen: set[Json]) -> Problems:
    name = container.get("name")
    problems = [duplicate(f"{at}.name", name)] if name and name in seen else []
    if name:
        seen.add(name)
    return problems


def _names(spec: Object, path: str) -> Problems:
    problems: Problems = []
    for field, rule in (
        ("serviceAccountName", names.dns_subdomain),
        ("nodeName", names.dns_subdomain),
        ("hostname", names.dns_label),
        ("subdomain", names.dns_label),
        ("priorityClassName", names.dns_subdomain),
        ("runtimeClassName", names.dns_subdomain),
    ):
        if spec.get(field):
            problems += each(f"{path}.{field}", spec[field], rule(spec[field]))
    return problems


def _host_network(spec: Object, path: str) -> Problems:
    problems: Problems = []
    if spec.get("hostNetwork"):
        for group in ("containers", "initContainers"):
            for index, container in enumerate(structs(spec, group)):
                for at, port in enumerate(structs(container, "ports")):
                    if port.get("hostPort") and port["hostPort"] != port.get("containerPort"):
                        where = f"{path}.{group}[{index}].ports[{at}].containerPort"
                        problems.append(invalid(where, port.get("containerPort"), "must match `hostPort` when `hostNetwork` is true"))
    if spec.get("hostPID") and spec.get("shareProcessNamespace"):
        text = "ShareProcessNamespace and HostPID cannot both be enabled"
        problems.append(invalid(f"{path}.shareProcessNamespace", True, text))
    return problems


def _tolerations(tolerations: list[Object], path: str) -> Problems:
    problems: Problems = []
    for index, toleration in enumerate(tolerations):
        at = f"{path}[{index}]"
        key, operator, value = (toleration.get(field) or "" for field in ("key", "operator", "value"))
        effect = toleration.get("effect") or ""
        if key:
            problems += each(f"{at}.key", key, names.qualified_name(key))
        elif operator != "Exists":
            text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            problems.append(invalid(f"{at}.operator", operator, text))
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            problems.append(invalid(f"{at}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"))
        if operator in ("Equal", ""):
            problems += each(f"{at}.operator", value, names.label_value(value))
        elif operator == "Exists":
            if value:
                problems.append(invalid(f"{at}.operator", toleration, "value must be empty when `operator` is 'Exists'"))
        elif operator not in ("Lt", "Gt"):
            problems.append(not_supported(f"{at}.operator", operator, ("Equal", "Exists")))
        if effect and effect not in EFFECTS:
            problems.append(not_supported(f"{at}.effect", effect, EFFECTS))
    return problems


def _affinity(affinity: Object, path: str) -> Problems:
    problems: Problems = []
    node = part(affinity, "nodeAffinity")
    wanted = node.get("requiredDuringSchedulingIgnoredDuringExecution")
    if isinstance(wanted, dict):
        problems += node_selector(wanted, f"{path}.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution")
    for index, term in enumerate(structs(node, "preferredDuringSchedulingIgnoredDuringExecution")):
        at = f"{path}.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[{index}]"
        problems += _weight(term, at)
        problems += _node_term(part(term, "preference"), f"{at}.preference")
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = part(affinity, kind)
        for index, term in enumerate(structs(terms, "requiredDuringSchedulingIgnoredDuringExecution")):
            problems += _pod_term(term, f"{path}.{kind}.requiredDuringSchedulingIgnoredDuringExecution[{index}]")
        for index, term in enumerate(structs(terms, "preferredDuringSchedulingIgnoredDuringExecution")):
            at = f"{path}.{kind}.preferredDuringSchedulingIgnoredDuringExecution[{index}]"
            problems += _weight(term, at)
            problems += _pod_term(part(term, "podAffinityTerm"), f"{at}.podAffinityTerm")
    return problems


def _weight(term: Object, path: str) -> Problems:
    weight = term.get("weight") or 0
    return [] if 1 <= weight <= 100 else [invalid(f"{path}.weight", weight, "must be in the range 1-100")]


def node_selector(selector: Object, path: str) -> Problems:
    """A NodeSelector: at least one term."""
    terms = structs(selector, "nodeSelectorTerms")
    if not terms:
        return [required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")]
    problems: Problems = []
    for index, term in enumerate(terms):
        problems += _node_term(term, f"{path}.nodeSelectorTerms[{index}]")
    return problems


def _node_term(term: Object, path: str) -> Problems:
    problems: Problems = []
    for index, requirement in enumerate(structs(term, "matchExpressions")):
        at = f"{path}.matchExpressions[{index}]"
        operator, values = requirement.get("operator") or "", requirement.get("values") or []
        if operator in ("In", "NotIn") and not values:
            problems.append(required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
        elif operator in ("Exists", "DoesNotExist") and values:
            problems.append(forbidden_field(f"{at}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
        elif operator in ("Gt", "Lt") and len(values) != 1:
            problems.append(required(f"{at}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'"))
        elif operator not in NODE_OPERATORS:
            problems.append(invalid(f"{at}.operator", operator, "not a valid selector operator"))
        problems += each(f"{at}.key", requirement.get("key") or "", names.qualified_name(requirement.get("key") or ""))
    return problems


def _pod_term(term: Object, path: str) -> Problems:
    problems = label_selector(term.get("labelSelector"), f"{path}.labelSelector")
    problems += label_selector(term.get("namespaceSelector"), f"{path}.namespaceSelector")
    for name in term.get("namespaces") or ():
        problems += each(f"{path}.namespace", name, names.dns_label(name))
    key = term.get("topologyKey")
    if not key:
        return [*problems, required(f"{path}.topologyKey", "can not be empty")]
    return problems + each(f"{path}.topologyKey", key, names.qualified_name(key))


def _dns_config(spec: Object, path: str) -> Problems:
    config = spec.get("dnsConfig")
    nameservers = (config or {}).get("nameservers") or []
    if spec.get("dnsPolicy") == "None":
        at = f"{path}.dnsConfig"
        if config is None:
            return [required(at, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not nameservers:
            return [required(f"{at}.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None")]
    problems: Problems = []
    if len(nameservers) > 3:
        text = "must not have more than 3 nameservers"
        problems.append(invalid(f"{path}.dnsConfig.nameservers", nameservers, text))
    for index, server in enumerate(nameservers):
        problems += address(server, f"{path}.dnsConfig.nameservers[{index}]")
    return problems


def _spread(constraints: list[Object], path: str) -> Problems:
    problems: Problems = []
    seen: set[tuple[Json, Json]] = set()
    for index, constraint in enumerate(constraints):
        at = f"{path}[{index}]"
        skew = constraint.get("maxSkew") or 0
        if skew <= 0:
            problems.append(invalid(f"{at}.maxSkew", skew, "must be greater than zero"))
        key, action = constraint.get("topologyKey"), constraint.get("whenUnsatisfiable")
        if not key:
            problems.append(required(f"{at}.topologyKey", "can not be empty"))
        problems += one_of(action, f"{at}.whenUnsatisfiable", ("DoNotSchedule", "ScheduleAnyway"))
        if (key, action) in seen:
            problems.append(duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {action}}}"))
        seen.add((key, action))
        problems += label_selector(constraint.get("labelSelector"), f"{at}.labelSelector")
    return problems


def _gates(spec: Object, path: str) -> Problems:
    problems: Problems = []
    seen: set[Json] = set()
    for index, gate in enumerate(structs(spec, "schedulingGates")):
        at = f"{path}.schedulingGates[{index}]"
        name = gate.get("name") or ""
        problems += each(at, name, names.qualified_name(name))
        if name in seen:
            problems.append(duplicate(at, name))
        seen.add(name)
    if spec.get("nodeName") and seen:
        problems.append(forbidden_field(f"{path}.nodeName", "cannot be set until all schedulingGates have been cleared"))
    for index, gate in enumerate(structs(spec, "readinessGates")):
        problems += needed(gate, "conditionType", f"{path}.readinessGates[{index}]")
    return problems


def _update(spec: Object, old: Object) -> Problems:
    """What may change in a pod that is there: images, a shorter deadline, more tolerations, fewer gates."""
    problems: Problems = []
    for group in ("containers", "initContainers"):
        if len(structs(spec, group)) != len(structs(old, group)):
            return [forbidden_field(f"spec.{group}", "pod updates may not add or remove containers")]
    deadline_s, before_s = spec.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds")
    if deadline_s is not None:
        problems += within(deadline_s, "spec.activeDeadlineSeconds", 0, INT32_MAX)
        if before_s is not None and before_s < deadline_s:
            return [*problems, invalid("spec.activeDeadlineSeconds", deadline_s, "must be less than or equal to previous value")]
    elif before_s is not None:
        text = "must not update from a positive integer to nil value"
        problems.append(invalid("spec.activeDeadlineSeconds", None, text))
    kept = {_tolerated(toleration) for toleration in structs(spec, "tolerations")}
    for toleration in structs(old, "tolerations"):
        if _tolerated(toleration) not in kept:
            problems.append(forbidden_field("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds"))
    had = {gate.get("name") for gate in structs(old, "schedulingGates")}
    for index, gate in enumerate(structs(spec, "schedulingGates")):
        if gate.get("name") not in had:
            text = "only deletion is allowed, but found new scheduling gate '" + str(gate.get("name")) + "'"
            problems.append(forbidden_field(f"spec.schedulingGates[{index}]", text))
    if _munged(spec, old) != _munged(old, old):
        problems.append(forbidden_field("spec", UPDATABLE))
    return problems


def _tolerated(toleration: Object) -> frozenset[tuple[str, Json]]:
    """What must stay of one: all but how long."""
    return frozenset((name, value) for name, value in toleration.items() if name != "tolerationSeconds")


def _munged(spec: Object, old: Object) -> Object:
    """The spec with everything that may change as it was."""
    new = copied(spec)
    for group in ("containers", "initContainers"):
        for container, before in zip(structs(new, group), structs(old, group), strict=True):
            container["image"] = before.get("image")
    for field in ("activeDeadlineSeconds", "tolerations", "schedulingGates"):
        new[field] = old.get(field)
    if structs(old, "schedulingGates"):
        # A pod that waits for its gates may be narrowed to fewer nodes.
        for field in ("nodeSelector", "affinity"):
            new[field] = old.get(field)
    grace_s = old.get("terminationGracePeriodSeconds")
    if grace_s is not None and grace_s < 0 and new.get("terminationGracePeriodSeconds") == 1:
        new["terminationGracePeriodSeconds"] = grace_s
    return new


def _ephemeral_update(spec: Object, old: Object) -> Problems:
    problems: Problems = []
    new = {one.get("name"): one for one in structs(spec, "ephemeralContainers")}
    for before in structs(old, "ephemeralContainers"):
        if before.get("name") not in new:
            text = f'existing ephemeral containers "{before.get("name")}" may not be removed\n'
            problems.append(forbidden_field("spec.ephemeralContainers", text))
        elif new[before.get("name")] != before:
            text = f'existing ephemeral containers "{before.get("name")}" may not be changed\n'
            problems.append(forbidden_field("spec.ephemeralContainers", text))
    return problems


def _resize(pod: Object, old: Object) -> Problems:
    before = part(old, "status").get("qosClass") or quality_of_service(old)
    now = quality_of_service(pod)
    if now != before:
        return [invalid("spec", now, "Pod QOS Class may not change as a result of resizing")]
    return []


def validate_template_kind(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A PodTemplate."""
    return validate_template(part(obj, "template"), "template")
