"""Rules of Roles, ClusterRoles and their bindings. Source: `pkg/apis/rbac/validation/validation.go`."""

from __future__ import annotations

from resource_api.errors import Object, invalid, not_supported, required
from resource_api.schema import names
from resource_api.schema.validation.rules import Problems, each, label_selector, part, structs

GROUP = "rbac.authorization.k8s.io"


def validate_role(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A Role."""
    return [error for index, rule in enumerate(structs(obj, "rules")) for error in validate_rule(rule, f"rules[{index}]", namespaced=True)]


def validate_cluster_role(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A ClusterRole: rules, or how others' are gathered."""
    problems: Problems = []
    for index, rule in enumerate(structs(obj, "rules")):
        problems += validate_rule(rule, f"rules[{index}]", namespaced=False)
    aggregation = obj.get("aggregationRule")
    if isinstance(aggregation, dict):
        selectors = structs(aggregation, "clusterRoleSelectors")
        at = "aggregationRule.clusterRoleSelectors"
        if not selectors:
            problems.append(required(at, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
        for index, selector in enumerate(selectors):
            problems += label_selector(selector, f"{at}[{index}]")
    return problems


def validate_rule(rule: Object, path: str, *, namespaced: bool) -> Problems:
    """Verbs on resources of groups, or on paths."""
    problems: Problems = []
    if not rule.get("verbs"):
        problems.append(required(f"{path}.verbs", "verbs must contain at least one value"))
    urls, groups, resources = (rule.get(field) or [] for field in ("nonResourceURLs", "apiGroups", "resources"))
    if urls:
        at = f"{path}.nonResourceURLs"
        if namespaced:
            problems.append(invalid(at, urls, "namespaced rules cannot apply to non-resource URLs"))
        if groups or resources or rule.get("resourceNames"):
            problems.append(invalid(at, urls, "rules cannot apply to both regular resources and non-resource URLs"))
        return problems
    if not groups:
        problems.append(required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
    if not resources:
        problems.append(required(f"{path}.resources", "resource rules must supply at least one resource"))
    return problems


def validate_role_binding(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A RoleBinding."""
    return _binding(obj, old, ("Role", "ClusterRole"), namespaced=True)


def validate_cluster_role_binding(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A ClusterRoleBinding."""
    return _binding(obj, old, ("ClusterRole",), namespaced=False)


def _binding(obj: Object, old: Object | None, kinds: tuple[str, ...], *, namespaced: bool) -> Problems:
    ref = part(obj, "roleRef")
    problems: Problems = []
    if ref.get("apiGroup") != GROUP:
        problems.append(not_supported("roleRef.apiGroup", ref.get("apiGroup") or "", [GROUP]))
    if ref.get("kind") not in kinds:
        problems.append(not_supported("roleRef.kind", ref.get("kind") or "", kinds))
    name = ref.get("name")
    problems += each("roleRef.name", name, names.path_segment(name)) if name else [required("roleRef.name")]
    for index, subject in enumerate(structs(obj, "subjects")):
        problems += _subject(subject, f"subjects[{index}]", namespaced=namespaced)
    if old is not None and ref != part(old, "roleRef"):
        problems.append(invalid("roleRef", ref, "cannot change roleRef"))
    return problems


def _subject(subject: Object, path: str, *, namespaced: bool) -> Problems:
    problems: Problems = []
    name, kind, group = (subject.get(field) or "" for field in ("name", "kind", "apiGroup"))
    if not name:
        problems.append(required(f"{path}.name"))
    if kind == "ServiceAccount":
        if name:
            problems += each(f"{path}.name", name, names.dns_subdomain(name))
        if group:
            problems.append(not_supported(f"{path}.apiGroup", group, [""]))
        if not namespaced and not subject.get("namespace"):
            problems.append(required(f"{path}.namespace"))
    elif kind in ("User", "Group"):
        if group != GROUP:
            problems.append(not_supported(f"{path}.apiGroup", group, [GROUP]))
    else:
        problems.append(not_supported(f"{path}.kind", kind, ("ServiceAccount", "User", "Group")))
    return problems
