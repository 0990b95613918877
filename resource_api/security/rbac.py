"""RBAC: an index over roles and bindings, and the authorizer that decides from it.

The index is told every Role, ClusterRole, RoleBinding and ClusterRoleBinding, one by one or a whole list at once, and never reads
anything itself. Decisions are remembered per user (name and groups) until any of those objects changes. Hot path: `authorize`.
Source: spec D.3; rule matching is `RulesAllow` of kube-apiserver's rbac helpers, restated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from resource_api.errors import Object, shown
from resource_api.registry.requests import User
from resource_api.security.authorization import NO_OPINION, Attributes, Decision

RBAC_GROUP = "rbac.authorization.k8s.io"
PLURALS = ("clusterroles", "roles", "clusterrolebindings", "rolebindings")

USERS_REMEMBERED_MAX = 1024
"""Users with remembered decisions; at the bound all are forgotten, which costs one decision each."""
DECISIONS_REMEMBERED_MAX = 4096
"""Decisions per user; at the bound that user's are forgotten."""

NOTHING: frozenset[str] = frozenset()


class Rule(NamedTuple):
    """A PolicyRule, ready to match."""

    verbs: frozenset[str]
    groups: frozenset[str] = NOTHING
    resources: frozenset[str] = NOTHING
    names: frozenset[str] = NOTHING
    urls: tuple[str, ...] = ()

    def matches_resource(self, verb: str, group: str, resource: str, subresource: str) -> bool:
        """Names aside. `pods` does not match `pods/log`; `*` and `*/log` do."""
        if verb not in self.verbs and "*" not in self.verbs:
            return False
        if group not in self.groups and "*" not in self.groups:
            return False
        if "*" in self.resources:
            return True
        if not subresource:
            return resource in self.resources
        return f"{resource}/{subresource}" in self.resources or f"*/{subresource}" in self.resources

    def matches_path(self, verb: str, path: str) -> bool:
        """A URL ending in `*` stands for everything that begins as it does."""
        if verb not in self.verbs and "*" not in self.verbs:
            return False
        return any(url in ("*", path) or (url.endswith("*") and path.startswith(url.rstrip("*"))) for url in self.urls)


def parse_rule(rule: Object) -> Rule:
    """A PolicyRule of an object."""
    return Rule(
        frozenset(rule.get("verbs") or ()),
        frozenset(rule.get("apiGroups") or ()),
        frozenset(rule.get("resources") or ()),
        frozenset(rule.get("resourceNames") or ()),
        tuple(rule.get("nonResourceURLs") or ()),
    )


class Role(NamedTuple):
    """A Role or ClusterRole."""

    rules: tuple[Rule, ...]
    source: tuple[Object, ...]
    """The rules as they stand in the object."""


class Binding(NamedTuple):
    """A RoleBinding, or a ClusterRoleBinding when the namespace is empty."""

    namespace: str
    name: str
    role_kind: str
    role_name: str
    subjects: tuple[Object, ...]

    def role_key(self) -> tuple[str, str]:
        """Where its role stands in the index."""
        return (self.namespace if self.role_kind == "Role" else "", self.role_name)

    def describe(self, subject: Object) -> str:
        """How reasons name it and the subject it was found by."""
        kind = "RoleBinding" if self.namespace else "ClusterRoleBinding"
        name = f"{self.name}/{self.namespace}" if self.namespace else self.name
        whom = str(subject.get("name", ""))
        if subject.get("kind") == "ServiceAccount":
            whom = f"{whom}/{subject.get('namespace') or self.namespace}"
        return f"{kind} {shown(name)} of {self.role_kind} {shown(self.role_name)} to {subject.get('kind', '')} {shown(whom)}"


class Grant(NamedTuple):
    """A binding that applies to somebody, and the subject that says so."""

    binding: Binding
    subject: Object


class PolicyIndex:
    """Roles and bindings by what finds them.

    Invariants: 1. every subject of every binding is in `_by_subject` under its key; 2. `generation` grows with every change.
    """

    def __init__(self) -> None:
        self.generation = 0
        self._roles: dict[tuple[str, str], Role] = {}
        self._bindings: dict[tuple[str, str], Binding] = {}
        self._by_subject: dict[str, dict[tuple[str, str], Grant]] = {}

    def put(self, plural: str, obj: Object) -> None:
        """An object of one of `PLURALS` was created or changed."""
        metadata = obj["metadata"]
        key = (str(metadata.get("namespace") or ""), str(metadata["name"]))
        self.generation += 1
        if plural in ("roles", "clusterroles"):
            source = tuple(obj.get("rules") or ())
            self._roles[key] = Role(tuple(map(parse_rule, source)), source)
            return
        self._forget(key)
        reference = obj.get("roleRef") or {}
        subjects = tuple(obj.get("subjects") or ())
        binding = Binding(*key, str(reference.get("kind", "")), str(reference.get("name", "")), subjects)
        self._bindings[key] = binding
        for subject in subjects:
            found = subject_key(subject, binding.namespace)
            if found:
                self._by_subject.setdefault(found, {}).setdefault(key, Grant(binding, subject))

    def remove(self, plural: str, namespace: str, name: str) -> None:
        """An object went; no effect when it was not there."""
        self.generation += 1
        if plural in ("roles", "clusterroles"):
            self._roles.pop((namespace, name), None)
        else:
            self._forget((namespace, name))

    def replace(self, plural: str, objects: Iterable[Object]) -> None:
        """These are all objects of that resource."""
        cluster = plural in ("clusterroles", "clusterrolebindings")
        table: Iterable[tuple[str, str]] = self._roles if plural in ("roles", "clusterroles") else self._bindings
        for namespace, name in [key for key in table if (key[0] == "") == cluster]:
            self.remove(plural, namespace, name)
        for obj in objects:
            self.put(plural, obj)

    def _forget(self, key: tuple[str, str]) -> None:
        binding = self._bindings.pop(key, None)
        if binding is None:
            return
        for subject in binding.subjects:
            found = subject_key(subject, binding.namespace)
            grants = self._by_subject.get(found)
            if grants is not None:
                grants.pop(key, None)
                if not grants:
                    del self._by_subject[found]

    def role(self, kind: str, namespace: str, name: str) -> Role | None:
        """The role a reference names."""
        return self._roles.get((namespace if kind == "Role" else "", name))

    def grants(self, user: User) -> list[Grant]:
        """Every binding with the user or one of the groups: cluster-wide ones first, then by namespace and name; each once."""
        found: dict[tuple[str, str], Grant] = {}
        for key in (f"u:{user.name}", *(f"g:{group}" for group in user.groups)):
            for where, grant in self._by_subject.get(key, {}).items():
                found.setdefault(where, grant)
        return [found[key] for key in sorted(found)]

    def rules_for(self, grants: Iterable[Grant], namespace: str) -> Iterator[tuple[Grant, Role | None]]:
        """Grants that count in a namespace (empty: only cluster-wide ones), with their roles; None where there is no such role."""
        for grant in grants:
            if not grant.binding.namespace or grant.binding.namespace == namespace:
                yield grant, self._roles.get(grant.binding.role_key())

    def describe(self) -> str:
        """For people."""
        return f"{len(self._roles)} roles, {len(self._bindings)} bindings, {len(self._by_subject)} subjects, generation {self.generation}"


def subject_key(subject: Object, namespace: str) -> str:
    """What a subject is found by; empty when it can be nobody."""
    kind, name = subject.get("kind"), str(subject.get("name", ""))
    if kind == "User":
        return f"u:{name}"
    if kind == "Group":
        return f"g:{name}"
    where = subject.get("namespace") or namespace
    return f"u:system:serviceaccount:{where}:{name}" if kind == "ServiceAccount" and where else ""


class _Known(NamedTuple):
    """A remembered answer: to everybody, or by name."""

    always: Decision
    by_name: dict[str, Decision]


class _Memory:
    __slots__ = ("answers", "grants")

    def __init__(self, grants: list[Grant]) -> None:
        self.grants = grants
        self.answers: dict[tuple[str, str, str, str, str, str], _Known] = {}


class RbacAuthorizer:
    """Mode RBAC over an index."""

    def __init__(self, index: PolicyIndex) -> None:
        self._index = index
        self._generation = index.generation
        self._memory: dict[tuple[str, tuple[str, ...]], _Memory] = {}

    def authorize(self, attributes: Attributes) -> Decision:
        """0.4 µs for a question asked before (other names included), 7 µs for a new one over one bootstrap role (idle machine)."""
        user = attributes.user
        memory = self._memory_of(user)
        key = (attributes.verb, attributes.group, attributes.resource, attributes.subresource, attributes.namespace, attributes.path)
        known = memory.answers.get(key)
        if known is None:
            if len(memory.answers) >= DECISIONS_REMEMBERED_MAX:
                memory.answers.clear()
            known = memory.answers[key] = self._decide(memory, attributes)
        if known.always.allowed or not known.by_name:
            return known.always
        return known.by_name.get(attributes.name, known.always)

    def _memory_of(self, user: User) -> _Memory:
        if self._generation != self._index.generation or len(self._memory) > USERS_REMEMBERED_MAX:
            self._memory.clear()
            self._generation = self._index.generation
        key = (user.name, user.groups)
        memory = self._memory.get(key)
        if memory is None:
            memory = self._memory[key] = _Memory(self._index.grants(user))
        return memory

    def _decide(self, memory: _Memory, attributes: Attributes) -> _Known:
        _, verb, group, _, resource, subresource, namespace, _, path = attributes
        by_name: dict[str, Decision] = {}
        missing: list[str] = []
        for grant, role in self._index.rules_for(memory.grants, namespace):
            if role is None:
                missing.append(_no_role(grant.binding))
                continue
            for rule in role.rules:
                if path:
                    if rule.matches_path(verb, path):
                        return _Known(_allowed(grant), {})
                elif rule.matches_resource(verb, group, resource, subresource):
                    if not rule.names:
                        # A rule by name that stood before this one gives another reason for those names; the answer is the same.
                        return _Known(_allowed(grant), {})
                    for name in rule.names:
                        by_name.setdefault(name, _allowed(grant))
        refused = NO_OPINION
        if missing:
            text = missing[0] if len(missing) == 1 else "[" + ", ".join(missing) + "]"
            refused = Decision(False, f"RBAC: {text}")
        return _Known(refused, by_name)

    def rules_of(self, user: User, namespace: str) -> tuple[list[Object], list[str]]:
        """Every rule the user has there, in the order of its bindings, and the roles that are missing."""
        rules: list[Object] = []
        missing: list[str] = []
        for grant, role in self._index.rules_for(self._memory_of(user).grants, namespace):
            if role is None:
                missing.append(_no_role(grant.binding))
            else:
                rules.extend(role.source)
        return rules, missing


def _allowed(grant: Grant) -> Decision:
    return Decision(True, f"RBAC: allowed by {grant.binding.describe(grant.subject)}")


def _no_role(binding: Binding) -> str:
    return f"{binding.role_kind.lower()}.{RBAC_GROUP} {shown(binding.role_name)} not found"
