"""Nobody grants what he does not have: the checks on writing roles and bindings, and the sum behind aggregated ClusterRoles.

Pure. Source: spec D.3; `Covers`, `ConfirmNoEscalation` and `CompactRules` of kube-apiserver restated, texts included.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from resource_api.errors import Object, shown
from resource_api.registry.requests import MASTERS, User

FULL_AUTHORITY: tuple[Object, ...] = (
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
)
"""What somebody must have who lets a role collect rules from others."""


RULE_FIELDS = (
    ("apiGroups", "APIGroups"),
    ("resources", "Resources"),
    ("nonResourceURLs", "NonResourceURLs"),
    ("resourceNames", "ResourceNames"),
    ("verbs", "Verbs"),
)


def breakdown(rule: Object) -> list[Object]:
    """One rule per verb, group, resource and name, and per verb and URL."""
    parts: list[Object] = []
    for group in rule.get("apiGroups") or ():
        for resource in rule.get("resources") or ():
            for verb in rule.get("verbs") or ():
                part = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
                parts.extend({**part, "resourceNames": [name]} for name in rule["resourceNames"]) if rule.get("resourceNames") else (
                    parts.append(part)
                )
    for url in rule.get("nonResourceURLs") or ():
        parts.extend({"nonResourceURLs": [url], "verbs": [verb]} for verb in rule.get("verbs") or ())
    return parts


def uncovered(held: Sequence[Object], wanted: Iterable[Object]) -> list[Object]:
    """The parts of `wanted` that no single rule of `held` covers."""
    return [part for rule in wanted for part in breakdown(rule) if not any(_covers(owner, part) for owner in held)]


def _covers(owner: Object, part: Object) -> bool:
    verbs = owner.get("verbs") or ()
    if part["verbs"][0] not in verbs and "*" not in verbs:
        return False
    if "nonResourceURLs" in part:
        url = part["nonResourceURLs"][0]
        return any(held == url or (held.endswith("*") and url.startswith(held.rstrip("*"))) for held in owner.get("nonResourceURLs") or ())
    groups, resources, names = owner.get("apiGroups") or (), owner.get("resources") or (), owner.get("resourceNames") or ()
    if part["apiGroups"][0] not in groups and "*" not in groups:
        return False
    resource = part["resources"][0]
    if resource not in resources and "*" not in resources and not ("/" in resource and "*/" + resource.split("/", 1)[1] in resources):
        return False
    return not names or ("resourceNames" in part and part["resourceNames"][0] in names)


def compact(parts: Iterable[Object]) -> list[Object]:
    """Parts of one resource (and name) become one rule with their verbs."""
    simple: dict[tuple[str, str, str], Object] = {}
    others: list[Object] = []
    for part in parts:
        if "nonResourceURLs" in part:
            others.append(part)
            continue
        key = (part["apiGroups"][0], part["resources"][0], (part.get("resourceNames") or [""])[0])
        if key in simple:
            simple[key]["verbs"].extend(part["verbs"])
        else:
            simple[key] = {**part, "verbs": list(part["verbs"])}
    return others + list(simple.values())


def rule_text(rule: Object) -> str:
    """A rule as refusals print it: `{APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}`."""
    parts = [f"{shown_as}:{quoted(rule[field])}" for field, shown_as in RULE_FIELDS if rule.get(field)]
    return "{" + ", ".join(parts) + "}"


def quoted(values: Iterable[str]) -> str:
    """A list of strings as Go's %q prints it."""
    return "[" + " ".join(map(shown, values)) + "]"


def escalation_text(user: User, held: Sequence[Object], unresolved: Sequence[str], wanted: Iterable[Object]) -> str:
    """Why the user may not grant these rules; empty when he may."""
    if MASTERS in user.groups:
        return ""
    missing = uncovered(held, wanted)
    if not missing:
        return ""
    lines = "\n".join(sorted({rule_text(rule) for rule in compact(missing)}))
    text = f"user {shown(user.name)} (groups={quoted(user.groups)}) is attempting to grant RBAC permissions not currently held:\n{lines}"
    return text + (f"; resolution errors: [{' '.join(unresolved)}]" if unresolved else "")


def matches_labels(selector: Object, labels: Object) -> bool:
    """Whether a label selector (matchLabels and matchExpressions) picks these labels; an empty one picks everything."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for wanted in selector.get("matchExpressions") or ():
        key, values = wanted["key"], wanted.get("values") or ()
        held = {
            "In": key in labels and labels[key] in values,
            "NotIn": key not in labels or labels[key] not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }
        if not held.get(wanted.get("operator", ""), False):
            return False
    return True


def aggregated_rules(role: Object, roles: Iterable[Object]) -> list[Object]:
    """The rules an aggregated ClusterRole should have: those of every other role a selector picks, by name, each rule once."""
    ordered = sorted(roles, key=lambda other: str(other["metadata"]["name"]))
    rules: list[Object] = []
    for selector in (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ():
        for other in ordered:
            if other["metadata"]["name"] == role["metadata"]["name"]:
                continue
            if matches_labels(selector, other["metadata"].get("labels") or {}):
                rules.extend(rule for rule in other.get("rules") or () if rule not in rules)
    return rules


def outdated_aggregates(roles: Sequence[Object]) -> list[Object]:
    """Copies of the aggregated ClusterRoles whose rules are not what they should be, with the right ones.

    `view` is part of `edit` and `edit` of `admin`, so the caller repeats with what it wrote until nothing comes back.
    """
    changed = []
    for role in roles:
        if role.get("aggregationRule"):
            rules = aggregated_rules(role, roles)
            if rules != (role.get("rules") or []):
                changed.append({**role, "rules": rules})
    return changed
